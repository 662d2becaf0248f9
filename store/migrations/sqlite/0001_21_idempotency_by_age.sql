CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (sequence_no)
