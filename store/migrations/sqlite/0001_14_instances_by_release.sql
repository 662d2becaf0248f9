CREATE INDEX IF NOT EXISTS instances_by_release ON instances (app, release_no)
