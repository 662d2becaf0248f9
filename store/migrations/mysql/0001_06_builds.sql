CREATE TABLE IF NOT EXISTS builds (
  id              BIGINT NOT NULL PRIMARY KEY,
  app             VARCHAR(64) NOT NULL,
  state           VARCHAR(64) NOT NULL,
  artifact        VARCHAR(128) NOT NULL,
  artifact_bytes  BIGINT NOT NULL,
  file_name       MEDIUMTEXT NOT NULL,
  kind            VARCHAR(64),
  start_command   MEDIUMTEXT,
  claim           VARCHAR(128),
  attempts        BIGINT NOT NULL,
  outcome         MEDIUMTEXT,
  log_lines       BIGINT NOT NULL,
  created_at      VARCHAR(64) NOT NULL,
  FOREIGN KEY (app) REFERENCES apps (name),
  INDEX builds_by_state (state, id),
  INDEX builds_by_app (app, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
