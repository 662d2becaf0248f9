CREATE TABLE IF NOT EXISTS apps (
  name        TEXT NOT NULL PRIMARY KEY,
  team        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  instances   BIGINT NOT NULL,
  stopped     BIGINT NOT NULL,
  deleted     BIGINT NOT NULL,
  live        BIGINT,
  generation  BIGINT NOT NULL,
  revision    BIGINT NOT NULL,
  crashes     BIGINT NOT NULL,
  wait_ms     BIGINT NOT NULL,
  calm_ms     BIGINT NOT NULL,
  created_at  TEXT NOT NULL
)
