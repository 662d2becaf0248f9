ALTER TABLE deploys ADD COLUMN before_instances BIGINT
