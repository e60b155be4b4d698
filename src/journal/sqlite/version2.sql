-- Version 2: hooks that have begun, and what is owed while they have not ended; what people have ordered to stand for a while.
-- `after` is a list of the program and its arguments, as JSON; `after_timeout` counts nanoseconds.
-- `servers`, `policies` and `kinds` are lists of texts, as JSON; only pauses and their ends have them.

CREATE TABLE hooks (
    op INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    server INTEGER NOT NULL,
    server_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    slot TEXT,
    name TEXT NOT NULL,
    after TEXT,
    after_timeout INTEGER,
    at TEXT NOT NULL,
    ended_seq INTEGER,
    ended_at TEXT,
    error TEXT,
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX hooks_owed ON hooks (seq) WHERE ended_seq IS NULL;

CREATE TABLE orders (
    op INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    what TEXT NOT NULL,
    server INTEGER,
    server_name TEXT,
    kind TEXT,
    item INTEGER,
    item_name TEXT,
    servers TEXT,
    policies TEXT,
    kinds TEXT,
    until TEXT NOT NULL,
    reason TEXT NOT NULL,
    ordered_by TEXT NOT NULL,
    at TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX orders_seq ON orders (seq);
CREATE INDEX orders_until ON orders (until);
