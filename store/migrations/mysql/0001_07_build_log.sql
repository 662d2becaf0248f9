CREATE TABLE IF NOT EXISTS build_log (
  build       BIGINT NOT NULL,
  first_line  BIGINT NOT NULL,
  line_count  BIGINT NOT NULL,
  written_at  VARCHAR(64) NOT NULL,
  body        MEDIUMTEXT NOT NULL,
  PRIMARY KEY (build, first_line),
  FOREIGN KEY (build) REFERENCES builds (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
