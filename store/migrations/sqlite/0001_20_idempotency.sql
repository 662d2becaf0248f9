CREATE TABLE IF NOT EXISTS idempotency (
  principal    TEXT NOT NULL,
  request_key  TEXT NOT NULL,
  fingerprint  TEXT NOT NULL,
  sequence_no  BIGINT NOT NULL,
  process      TEXT NOT NULL,
  status       BIGINT,
  body         TEXT,
  PRIMARY KEY (principal, request_key)
)
