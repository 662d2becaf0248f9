INSERT OR IGNORE INTO counters (name, value) VALUES ('writer', 0), ('instance', 0), ('event', 0), ('build', 0), ('idempotency', 0)
