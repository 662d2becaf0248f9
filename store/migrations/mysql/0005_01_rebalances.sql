CREATE TABLE IF NOT EXISTS rebalances (
  number     BIGINT NOT NULL PRIMARY KEY,
  author     MEDIUMTEXT NOT NULL,
  moved      BIGINT NOT NULL,
  still_ms   BIGINT NOT NULL,
  moves      MEDIUMTEXT NOT NULL,
  ended      MEDIUMTEXT,
  cancelled  BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
