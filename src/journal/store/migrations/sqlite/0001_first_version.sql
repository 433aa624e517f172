-- The tables of the first version, exactly: it made them without migrations, so a file of its time
-- has them and no note of it.
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS records (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet TEXT NOT NULL,
    at    INTEGER NOT NULL,
    v     INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS records_by_fleet ON records (fleet, seq);
CREATE INDEX IF NOT EXISTS records_by_time ON records (at);
CREATE TABLE IF NOT EXISTS snapshots (
    fleet TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL,
    v     INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT;
