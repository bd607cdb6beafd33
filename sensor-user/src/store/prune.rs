//! Away: what is older than the retention.

use super::{Store, WriteError};
use crate::time::Time;

/// Each takes rows older than ?1, ?2 of them at most.
const STATEMENTS: [&str; 3] = [
    "DELETE FROM contacts WHERE (local, remote, proto, port) IN
        (SELECT local, remote, proto, port FROM contacts WHERE last < ?1 LIMIT ?2)",
    "DELETE FROM probes WHERE id IN (SELECT id FROM probes WHERE ts < ?1 LIMIT ?2)",
    "DELETE FROM answers WHERE id IN (SELECT id FROM answers WHERE ts < ?1 LIMIT ?2)",
];

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
        let mut total = 0;
        for sql in STATEMENTS {
            let deleted = self.connection.prepare_cached(sql).and_then(|mut s| s.execute((before.0, rows)));
            total += deleted.map_err(|error| WriteError::new(&self.path, error))? as u64;
        }
        Ok(total)
    }
}
