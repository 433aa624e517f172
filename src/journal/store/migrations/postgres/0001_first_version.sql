-- Everything is in the schema fleetscaler, which is the search path.

CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);

-- Places are drawn before the records are inserted, under the lock of their scope.
CREATE SEQUENCE places;
CREATE TABLE records (
    seq   bigint PRIMARY KEY,
    scope text COLLATE "C" NOT NULL,
    at    timestamptz NOT NULL,
    kind  text NOT NULL,
    v     bigint NOT NULL,
    body  text NOT NULL
);
CREATE INDEX records_by_scope ON records (scope, seq);
CREATE INDEX records_by_time ON records (at);
CREATE INDEX records_by_kind ON records (kind, seq);
-- Every start asks for the largest.
CREATE INDEX records_by_v ON records (v);

CREATE TABLE snapshots (
    scope text COLLATE "C" PRIMARY KEY,
    seq   bigint NOT NULL,
    v     bigint NOT NULL,
    body  text NOT NULL
);

CREATE TABLE replicas (
    id          text PRIMARY KEY,
    alive_until timestamptz NOT NULL
);

-- A lease is free from free_since on where it has no holder, and from its holder's alive_until on
-- where it has one. A row stays for good: fences only grow. Fence 0: it was never held.
CREATE TABLE leases (
    scope      text COLLATE "C" PRIMARY KEY,
    fence      bigint NOT NULL DEFAULT 0,
    holder     text,
    free_since timestamptz
);
CREATE INDEX leases_by_holder ON leases (holder);

CREATE TABLE spend (
    intent   uuid PRIMARY KEY,
    at       timestamptz NOT NULL,
    account  text NOT NULL,
    fleet    text NOT NULL,
    launches bigint NOT NULL,
    removals bigint NOT NULL
);
CREATE INDEX spend_by_account ON spend (account, at);
CREATE INDEX spend_by_fleet ON spend (fleet, at);

-- seq: the last record that was there when they came. They go with it when there is too much.
CREATE TABLE inputs (
    decision uuid PRIMARY KEY,
    seq      bigint NOT NULL,
    at       timestamptz NOT NULL,
    body     bytea NOT NULL
);
CREATE INDEX inputs_by_seq ON inputs (seq);
CREATE INDEX inputs_by_time ON inputs (at);
