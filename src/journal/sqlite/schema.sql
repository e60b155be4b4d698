-- The journal, with what version 1 has; `version2.sql` and those after it add the rest. Times are RFC 3339 in UTC with nine decimals; numbers of 64 bits are stored with their bits as signed ones.
-- `seq` and `ended_seq` are places in the order in which things became durable. `sum` is a check sum over the row's other columns.

CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    tables_sum INTEGER NOT NULL,
    next_op INTEGER NOT NULL,
    next_run INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

CREATE TABLE creates (
    op INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    server INTEGER NOT NULL,
    server_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    slot_policy TEXT,
    slot TEXT,
    hand_at TEXT,
    name TEXT,
    description TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at TEXT NOT NULL,
    config TEXT NOT NULL,
    state TEXT NOT NULL,
    item INTEGER,
    accepted_at TEXT,
    ended_seq INTEGER,
    ended_at TEXT,
    error TEXT,
    gone_at TEXT,
    gone_by_us INTEGER,
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX creates_item ON creates (kind, item) WHERE item IS NOT NULL;
CREATE INDEX creates_seq ON creates (seq);
CREATE INDEX creates_completed ON creates (server, kind, hand_at IS NULL, ended_seq) WHERE state = 'completed';

CREATE TABLE deletes (
    op INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    server INTEGER NOT NULL,
    server_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    item INTEGER NOT NULL,
    item_name TEXT,
    item_created_at TEXT NOT NULL,
    due TEXT NOT NULL,
    extra INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    config TEXT NOT NULL,
    state TEXT NOT NULL,
    ended_seq INTEGER,
    ended_at TEXT,
    error TEXT,
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX deletes_seq ON deletes (seq);
CREATE INDEX deletes_made_room ON deletes (server, kind, ended_seq) WHERE state = 'gone' AND due = 'before_create';

CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    server INTEGER NOT NULL,
    server_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    cause TEXT NOT NULL,
    slot TEXT,
    at TEXT NOT NULL,
    ended_seq INTEGER,
    ended_at TEXT,
    error TEXT,
    result TEXT,
    problems TEXT,
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX runs_seq ON runs (seq);
CREATE INDEX runs_ended ON runs (server, kind, ended_seq) WHERE ended_seq IS NOT NULL;
CREATE INDEX runs_successful ON runs (server, kind, ended_seq) WHERE result = 'success';

CREATE TABLE targets (
    server INTEGER NOT NULL,
    kind TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (server, kind)
) STRICT;

CREATE TABLE missed (
    seq INTEGER NOT NULL,
    server INTEGER NOT NULL,
    server_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    slot TEXT NOT NULL,
    slots INTEGER NOT NULL,
    at TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (server, kind, slot)
) STRICT;
