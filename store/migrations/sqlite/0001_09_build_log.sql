CREATE TABLE IF NOT EXISTS build_log (
  build       BIGINT NOT NULL,
  first_line  BIGINT NOT NULL,
  line_count  BIGINT NOT NULL,
  written_at  TEXT NOT NULL,
  body        TEXT NOT NULL,
  PRIMARY KEY (build, first_line),
  FOREIGN KEY (build) REFERENCES builds (id)
)
