CREATE INDEX IF NOT EXISTS deploys_by_state ON deploys (state, app)
