ALTER TABLE apps ADD COLUMN max_unavailable VARCHAR(16)
