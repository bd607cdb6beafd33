-- Addresses are 16 bytes, times are microseconds since 1970, kinds and protocols are the numbers
-- of sensor-common. One row for each (local, remote, proto, port): a household says the same
-- things to the same remotes, and the attribution asks for the first and the last time.
CREATE TABLE contacts (
    local BLOB NOT NULL,
    remote BLOB NOT NULL,
    proto INTEGER NOT NULL,
    port INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    local_port INTEGER,
    name TEXT,
    device TEXT,
    PRIMARY KEY (local, remote, proto, port)
) STRICT, WITHOUT ROWID;

-- One row for each event, as it was seen: what came to be known later (an answer, a contact with
-- the source) is derived again on replay.
CREATE TABLE probes (
    id INTEGER PRIMARY KEY,
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
    device TEXT
) STRICT;
CREATE INDEX probes_ts ON probes (ts);

CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    kind INTEGER NOT NULL,
    port INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_ts ON answers (ts);
