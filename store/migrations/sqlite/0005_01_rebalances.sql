CREATE TABLE IF NOT EXISTS rebalances (
  number     BIGINT NOT NULL PRIMARY KEY,
  author     TEXT NOT NULL,
  moved      BIGINT NOT NULL,
  still_ms   BIGINT NOT NULL,
  moves      TEXT NOT NULL,
  ended      TEXT,
  cancelled  BIGINT NOT NULL
)
