CREATE INDEX IF NOT EXISTS events_by_app ON events (app, id)
