//! Deletes rows that are older than the retention.

use rusqlite::Connection;
use tattler_core::time::Time;

use super::{Store, WriteError};

/// Each takes rows older than ?1, ?2 of them at most.
const STATEMENTS: [&str; 3] = [
    "DELETE FROM contacts WHERE (local, remote, proto, port) IN
        (SELECT local, remote, proto, port FROM contacts WHERE last < ?1 LIMIT ?2)",
    "DELETE FROM probes WHERE (ts, source, target, kind, port) IN
        (SELECT ts, source, target, kind, port FROM probes WHERE ts < ?1 LIMIT ?2)",
    "DELETE FROM answers WHERE (ts, source, target, kind, port) IN
        (SELECT ts, source, target, kind, port FROM answers WHERE ts < ?1 LIMIT ?2)",
];

/// Pages that are given back to the file system in one go.
const VACUUM_PAGES: u32 = 1_000;

impl Store {
    /// Deletes contacts last seen, and probes and answers seen, before a time; says how many rows.
    pub fn prune(&mut self, before: Time) -> Result<u64, WriteError> {
        let mut total = 0;
        loop {
            match self.prune_some(before, 10_000)? {
                0 => return Ok(total),
                rows => total += rows,
            }
        }
    }

    /// As [`Store::prune`], but only some rows of each table, so that a writer gets on with its
    /// queue in between. 0 if nothing is left to delete.
    pub fn prune_some(&mut self, before: Time, rows: u32) -> Result<u64, WriteError> {
        let deleted = prune(&self.connection, before, rows).and_then(|deleted| {
            give_back(&self.connection)?;
            Ok(deleted)
        });
        deleted.map_err(|error| WriteError::new(&self.path, error))
    }

    /// Bytes of the database that rows take; what is free inside it, and the write-ahead log, are
    /// left out.
    pub fn used(&self) -> Result<u64, WriteError> {
        used(&self.connection).map_err(|error| WriteError::new(&self.path, error))
    }
}

fn prune(connection: &Connection, before: Time, rows: u32) -> rusqlite::Result<u64> {
    let mut total = 0;
    for sql in STATEMENTS {
        total += connection.prepare_cached(sql)?.execute((before.0, rows))? as u64;
    }
    Ok(total)
}

fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let figure = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free, size) = (figure("page_count")?, figure("freelist_count")?, figure("page_size")?);
    Ok(u64::try_from((pages - free) * size).unwrap_or(0))
}

/// Free pages at the end of the file, back to the file system: some, so that it takes no time.
pub(super) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    // A step for each page.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
