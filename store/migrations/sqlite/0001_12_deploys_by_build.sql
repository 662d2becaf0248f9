CREATE INDEX IF NOT EXISTS deploys_by_build ON deploys (build)
