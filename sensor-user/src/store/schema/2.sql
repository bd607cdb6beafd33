-- Small facts under a name: `device-key`, 32 random bytes.
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Remotes that the user has acknowledged: an address and the length of a prefix.
CREATE TABLE acks (
    remote BLOB NOT NULL,
    length INTEGER NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER,
    note TEXT,
    PRIMARY KEY (remote, length)
) STRICT, WITHOUT ROWID;

-- The oldest go first, by age and by size.
CREATE INDEX contacts_last ON contacts (last);

-- Probes and answers get keys, in order of time: what is imported twice is there once.
ALTER TABLE probes RENAME TO probes_1;
CREATE TABLE probes (
    ts INTEGER NOT NULL,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    kind INTEGER NOT NULL,
    port INTEGER NOT NULL,
    count INTEGER NOT NULL,
    contacted_source INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    settling INTEGER NOT NULL,
    hop_limit INTEGER,
    source_port INTEGER,
    icmp_id INTEGER,
    icmp_seq INTEGER,
    payload_len INTEGER,
    payload_hash TEXT,
    window INTEGER,
    tcp_options TEXT,
    tcp_flags INTEGER,
    flow_label INTEGER,
    device TEXT,
    PRIMARY KEY (ts, source, target, kind, port)
) STRICT, WITHOUT ROWID;
INSERT INTO probes
    SELECT ts, source, target, kind, port, count, contacted_source, answered, settling, hop_limit, source_port,
           icmp_id, icmp_seq, payload_len, payload_hash, window, tcp_options, tcp_flags, flow_label, device
    FROM probes_1 WHERE true ORDER BY ts, id
    ON CONFLICT DO UPDATE SET
        count = min(count + excluded.count, 4294967295),
        contacted_source = max(contacted_source, excluded.contacted_source),
        answered = max(answered, excluded.answered),
        settling = min(settling, excluded.settling);
DROP TABLE probes_1;

ALTER TABLE answers RENAME TO answers_1;
CREATE TABLE answers (
    ts INTEGER NOT NULL,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    kind INTEGER NOT NULL,
    port INTEGER NOT NULL,
    PRIMARY KEY (ts, source, target, kind, port)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO answers SELECT ts, source, target, kind, port FROM answers_1;
DROP TABLE answers_1;
