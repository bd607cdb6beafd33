-- By which clock the rows of the present boot are dated: `origin` is the wall-clock time of boot, and
-- `believed` and `stood` say what time retention goes by (believe.rs). There is one row.
CREATE TABLE clock (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    boot INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    origin INTEGER NOT NULL,
    believed INTEGER,
    stood INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 0, '', 0, NULL, 0);

-- What a contact was before this boot (and in imports), and in it: when the clock is set, only the
-- second part is dated anew. Who reads asks for `first`, `last` and `count`, which are of both.
ALTER TABLE contacts RENAME TO contacts_3;
CREATE TABLE contacts (
    local BLOB NOT NULL,
    remote BLOB NOT NULL,
    proto INTEGER NOT NULL,
    port INTEGER NOT NULL,
    old_first INTEGER,
    old_last INTEGER,
    old_count INTEGER,
    new_first INTEGER,
    new_last INTEGER,
    new_count INTEGER,
    first INTEGER NOT NULL AS (ifnull(min(old_first, new_first), ifnull(old_first, new_first))),
    last INTEGER NOT NULL AS (ifnull(max(old_last, new_last), ifnull(old_last, new_last))),
    count INTEGER NOT NULL AS (ifnull(old_count, 0) + ifnull(new_count, 0)),
    local_port INTEGER,
    name TEXT,
    device TEXT,
    PRIMARY KEY (local, remote, proto, port)
) STRICT, WITHOUT ROWID;
INSERT INTO contacts (local, remote, proto, port, old_first, old_last, old_count, local_port, name, device)
    SELECT local, remote, proto, port, first, last, count, local_port, name, device FROM contacts_3;
DROP TABLE contacts_3;
CREATE INDEX contacts_last ON contacts (last);

-- In which boot; 0 for what is dated once and for all.
ALTER TABLE probes ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE answers ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;
