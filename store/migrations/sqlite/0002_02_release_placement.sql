ALTER TABLE releases ADD COLUMN placement TEXT
