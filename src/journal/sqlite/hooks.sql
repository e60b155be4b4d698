-- Version 2: hooks that have begun, and what is owed while they have not ended.
-- `after` is a list of the program and its arguments, as JSON; `after_timeout` counts nanoseconds.

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
