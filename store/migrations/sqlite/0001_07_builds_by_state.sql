CREATE INDEX IF NOT EXISTS builds_by_state ON builds (state, id)
