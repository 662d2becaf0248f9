ALTER TABLE apps ADD COLUMN max_unavailable TEXT
