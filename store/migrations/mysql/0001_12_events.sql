CREATE TABLE IF NOT EXISTS events (
  id           BIGINT NOT NULL PRIMARY KEY,
  happened_at  VARCHAR(64) NOT NULL,
  severity     VARCHAR(64) NOT NULL,
  kind         VARCHAR(64) NOT NULL,
  app          VARCHAR(64),
  instance     VARCHAR(64),
  node         VARCHAR(64),
  actor        MEDIUMTEXT NOT NULL,
  words        MEDIUMTEXT NOT NULL,
  detail       MEDIUMTEXT,
  INDEX events_by_app (app, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
