CREATE TABLE IF NOT EXISTS instances (
  id          VARCHAR(64) NOT NULL PRIMARY KEY,
  app         VARCHAR(64) NOT NULL,
  release_no  BIGINT NOT NULL,
  generation  BIGINT NOT NULL,
  node        VARCHAR(64) NOT NULL,
  slot        BIGINT NOT NULL,
  want        VARCHAR(64) NOT NULL,
  proven      BIGINT NOT NULL,
  spent_ms    BIGINT NOT NULL,
  address     VARCHAR(64),
  reason      MEDIUMTEXT NOT NULL,
  FOREIGN KEY (app, release_no) REFERENCES releases (app, number),
  INDEX instances_by_release (app, release_no)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
