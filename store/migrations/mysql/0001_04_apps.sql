CREATE TABLE IF NOT EXISTS apps (
  name        VARCHAR(64) NOT NULL PRIMARY KEY,
  team        VARCHAR(64) NOT NULL,
  kind        VARCHAR(64) NOT NULL,
  instances   BIGINT NOT NULL,
  stopped     BIGINT NOT NULL,
  deleted     BIGINT NOT NULL,
  live        BIGINT,
  generation  BIGINT NOT NULL,
  revision    BIGINT NOT NULL,
  crashes     BIGINT NOT NULL,
  wait_ms     BIGINT NOT NULL,
  calm_ms     BIGINT NOT NULL,
  created_at  VARCHAR(64) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
