CREATE TABLE IF NOT EXISTS instances (
  id          TEXT NOT NULL PRIMARY KEY,
  app         TEXT NOT NULL,
  release_no  BIGINT NOT NULL,
  generation  BIGINT NOT NULL,
  node        TEXT NOT NULL,
  slot        BIGINT NOT NULL,
  want        TEXT NOT NULL,
  proven      BIGINT NOT NULL,
  spent_ms    BIGINT NOT NULL,
  address     TEXT,
  reason      TEXT NOT NULL,
  FOREIGN KEY (app, release_no) REFERENCES releases (app, number)
)
