CREATE TABLE IF NOT EXISTS events (
  id           BIGINT NOT NULL PRIMARY KEY,
  happened_at  TEXT NOT NULL,
  severity     TEXT NOT NULL,
  kind         TEXT NOT NULL,
  app          TEXT,
  instance     TEXT,
  node         TEXT,
  actor        TEXT NOT NULL,
  words        TEXT NOT NULL,
  detail       TEXT
)
