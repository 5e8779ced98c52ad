-- Catalog::checkpoint; no table. One row: whether another process was in the way, then pages of the log and pages moved.
pragma wal_checkpoint(truncate)
