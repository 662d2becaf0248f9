CREATE TABLE IF NOT EXISTS idempotency (
  principal    VARCHAR(128) NOT NULL,
  request_key  VARCHAR(255) NOT NULL,
  fingerprint  VARCHAR(128) NOT NULL,
  sequence_no  BIGINT NOT NULL,
  process      VARCHAR(64) NOT NULL,
  status       BIGINT,
  body         MEDIUMTEXT,
  PRIMARY KEY (principal, request_key),
  INDEX idempotency_by_age (sequence_no)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin
