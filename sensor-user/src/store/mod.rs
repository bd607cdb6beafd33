//! The SQLite database that keeps contacts, probes and answers across restarts.
//!
//! At start, the sensor rebuilds the ledger from the database. One sensor owns a state directory, and one thread of the
//! sensor owns the [`Store`]. The *ring* is the buffer through which the kernel passes events to the sensor. The *mark*
//! is the position in the ring up to which events are stored.
//!
//! # Layout
//! - `open`: the directory, its lock, its permissions; `schema`: the tables and their migration
//! - `append`, `replay`: write and read observations; `read`: queries and exports without the lock of the
//!   directory
//! - `prune`: deletes rows by age; `shrink`: deletes the rows of least worth to make room; `worths`: the worth of
//!   rows, and the daily limit for rows that prove nothing
//! - `forget`: deletes rows, and overwrites their bytes in the files
//! - `import`: adds observations from files; `positions`: the positions in files and in the ring up to which
//!   observations are stored
//! - `acks`, `key`: acknowledged remotes, and the key of the device names
//! - `damaged`: replaces a damaged database
//! - `boot`, `believe`: the dates of rows, and the time that retention uses
//! - `writer`: a queue that never blocks its caller; `task`: the thread that empties the queue; `counters`: the
//!   state of the thread

mod acks;
mod append;
mod believe;
mod boot;
mod counters;
mod damaged;
#[cfg(test)]
mod flood_tests;
mod forget;
mod import;
mod key;
#[cfg(test)]
mod lifecycle_tests;
mod open;
mod positions;
mod prune;
mod read;
mod replay;
mod schema;
mod shrink;
mod task;
#[cfg(test)]
pub(crate) mod tests;
mod worths;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use believe::Belief;
pub use boot::Boot;
pub use counters::StoreCounters;
pub use damaged::DamagedDatabase;
pub use import::{ImportSettings, Imported, Importer};
pub use key::DeviceKey;
pub use open::{OpenError, hold};
pub use read::{Export, ExportError, Reader, StoreTotals};
pub use replay::ReplayError;
use rusqlite::{Connection, ErrorCode};
use tattler_core::time::Span;
use thiserror::Error;
pub use writer::{StoreHandle, StoreSettings, Writer, WriterSummary};

/// The default state directory.
pub const DEFAULT_DIR: &str = "/var/lib/tattler";
/// The default retention.
pub const RETENTION: Span = Span::from_days(38);
/// The default limit for the size of the database in bytes: 1 GiB.
pub const MOST_BYTES: u64 = 1 << 30;
/// The default limit for rows of probes and answers per day. Evidence of leaks is written even beyond the limit. In 38
/// days, the rows within the limit use about half of [`MOST_BYTES`], however many packets outsiders send.
pub const UNPROVEN_A_DAY: u64 = 100_000;

/// The database of one state directory, with the exclusive right to write to the database.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    kept: damaged::Kept,
    /// The boot to which appended rows belong.
    boot: Option<Boot>,
    /// The daily limit for rows that prove nothing. Only a sensor has the limit; imports have no limit.
    cap: Option<worths::Cap>,
    /// The state of the deletion of rows to make room, between two calls of [`Store::shrink_some`].
    shrinking: Option<shrink::Shrinking>,
    /// The lock file, which is locked while the file is open. If the process dies, the kernel releases the lock.
    _lock: File,
}

impl Store {
    fn new(connection: Connection, path: PathBuf, lock: File) -> Store {
        Store { connection, path, kept: damaged::Kept::default(), boot: None, cap: None, shrinking: None, _lock: lock }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of bytes on disk, including the write-ahead log.
    #[must_use]
    pub fn size(&self) -> u64 {
        open::size(&self.path)
    }
}

/// Reason for a failed change of the store. The store is unchanged, except where a variant says otherwise.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The disk is full.
    #[error("no room is left for {}; free some, or shorten the retention", .0.display())]
    Full(PathBuf),
    /// The database is damaged. More writes would increase the damage.
    #[error("{} is damaged ({source}); `tattler run` sets it aside and creates a new one, or move it out of the way yourself", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// Rows were deleted, but the files could not be rewritten.
    #[error("deleted, but traces are left in {}: {source}; a running sensor tries again every 30 s, otherwise repeat it when there is room and no export runs", path.display())]
    Traces {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// Any other error, such as a read-only file system or a failing disk.
    #[error("cannot write to {}: {source}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
}

impl WriteError {
    fn new(path: &Path, source: rusqlite::Error) -> WriteError {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => WriteError::Full(path),
            _ if is_damage(&source) => WriteError::Damaged { path, source },
            _ => WriteError::Failed { path, source },
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
