CREATE TABLE IF NOT EXISTS builds (
  id              BIGINT NOT NULL PRIMARY KEY,
  app             TEXT NOT NULL,
  state           TEXT NOT NULL,
  artifact        TEXT NOT NULL,
  artifact_bytes  BIGINT NOT NULL,
  file_name       TEXT NOT NULL,
  kind            TEXT,
  start_command   TEXT,
  claim           TEXT,
  attempts        BIGINT NOT NULL,
  outcome         TEXT,
  log_lines       BIGINT NOT NULL,
  created_at      TEXT NOT NULL,
  FOREIGN KEY (app) REFERENCES apps (name)
)
