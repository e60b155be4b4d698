-- Version 3: the text of each policy that something was done by, once; and who asked for a run.

CREATE TABLE policy_texts (
    digest TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

ALTER TABLE creates ADD COLUMN policy_text TEXT;
ALTER TABLE deletes ADD COLUMN policy_text TEXT;
ALTER TABLE runs ADD COLUMN asked_by TEXT;
