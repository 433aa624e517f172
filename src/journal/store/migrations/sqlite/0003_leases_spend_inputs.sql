-- Times are milliseconds since 1970, UTC, as in records.

CREATE TABLE replicas (
    id          TEXT PRIMARY KEY,
    alive_until INTEGER NOT NULL
) STRICT;

-- A lease is free from free_since on where it has no holder, and from its holder's alive_until on
-- where it has one. A row stays for good: fences only grow.
CREATE TABLE leases (
    scope      TEXT PRIMARY KEY,
    fence      INTEGER NOT NULL,
    holder     TEXT,
    free_since INTEGER
) STRICT;
CREATE INDEX leases_by_holder ON leases (holder);

CREATE TABLE spend (
    intent   TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    account  TEXT NOT NULL,
    fleet    TEXT NOT NULL,
    launches INTEGER NOT NULL,
    removals INTEGER NOT NULL
) STRICT;
CREATE INDEX spend_by_account ON spend (account, at);
CREATE INDEX spend_by_fleet ON spend (fleet, at);

-- seq: the last record that was there when they came. They go with it when there is too much.
CREATE TABLE inputs (
    decision TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE INDEX inputs_by_seq ON inputs (seq);
CREATE INDEX inputs_by_time ON inputs (at);
