-- How far the ring of events was brought here, for the sensor's next life; one row at most. `boot` is the
-- machine's boot, `ring` the kernel's number for the ring, `position` bytes, `since` nanoseconds of boot time.
CREATE TABLE mark (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    boot BLOB NOT NULL,
    ring INTEGER NOT NULL,
    position INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;
