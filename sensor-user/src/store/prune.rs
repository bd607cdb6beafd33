//! Deletes rows that are older than the retention.

use rusqlite::Connection;
use tattler_core::time::Time;

use super::{Store, WriteError};

/// Each statement deletes at most ?2 rows that are older than ?1.
const STATEMENTS: [&str; 3] = [
    "DELETE FROM contacts WHERE (local, remote, proto, port) IN
        (SELECT local, remote, proto, port FROM contacts WHERE last < ?1 LIMIT ?2)",
    "DELETE FROM probes WHERE (ts, source, target, kind, port) IN
        (SELECT ts, source, target, kind, port FROM probes WHERE ts < ?1 LIMIT ?2)",
    "DELETE FROM answers WHERE (ts, source, target, kind, port) IN
        (SELECT ts, source, target, kind, port FROM answers WHERE ts < ?1 LIMIT ?2)",
];

/// Maximum number of pages that one call returns to the file system.
const VACUUM_PAGES: u32 = 1_000;

impl Store {
    /// Deletes contacts that were last seen before a time, and probes and answers that were seen before that time.
    /// Deletes at most `rows` rows of each table, so that the writer can continue with its queue. Returns the number of
    /// deleted rows, 0 if no such rows are left.
    pub fn prune_some(&mut self, before: Time, rows: u32) -> Result<u64, WriteError> {
        let deleted = prune(&self.connection, before, rows).and_then(|deleted| {
            give_back(&self.connection)?;
            Ok(deleted)
        });
        deleted.map_err(|error| WriteError::new(&self.path, error))
    }

    /// Number of bytes that rows use in the database, without free pages and without the write-ahead log.
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

/// Returns free pages at the end of the file to the file system. The number of pages is so small that this takes no
/// noticeable time.
pub(super) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    // Each row of the result frees a page.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
