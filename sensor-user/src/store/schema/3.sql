-- How far files were imported: length and hash of how they begin, and whole lines or frames that were
-- read. `at` is when, so that the oldest go first.
CREATE TABLE positions (
    head_length INTEGER NOT NULL,
    head_hash INTEGER NOT NULL,
    items INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (head_length, head_hash)
) STRICT, WITHOUT ROWID;
