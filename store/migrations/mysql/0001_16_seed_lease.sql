INSERT IGNORE INTO lease (id, epoch, holder, counter) VALUES (1, 0, '', 0)
