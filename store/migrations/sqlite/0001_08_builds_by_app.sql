CREATE INDEX IF NOT EXISTS builds_by_app ON builds (app, id)
