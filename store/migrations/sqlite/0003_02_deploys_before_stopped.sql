ALTER TABLE deploys ADD COLUMN before_stopped BIGINT
