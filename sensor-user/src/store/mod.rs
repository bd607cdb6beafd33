//! The SQLite database that keeps contacts, probes and answers across restarts.
//!
//! The ledger is rebuilt from it at start. One sensor owns a state directory, and one thread of the sensor owns the
//! [`Store`].
//!
//! # Layout
//! - [`open`]: the directory, its lock, its permissions; [`schema`]: the tables and their migration
//! - [`append`], [`replay`]: write and read observations; [`read`]: queries and exports, without the lock
//! - [`prune`]: deletes rows by age; [`shrink`]: deletes rows to make room, by their worth; [`worths`]: the worth of
//!   rows, and the limit of a day for rows that prove nothing
//! - [`forget`]: deletes rows from the bytes of the files too
//! - [`import`]: adds observations from files; [`positions`]: how far files and the ring are stored
//! - [`acks`], [`key`]: acknowledged remotes, and the key of the device names
//! - [`damaged`]: replaces a damaged database
//! - [`boot`], [`believe`]: the dates of rows, and the time that retention uses
//! - [`writer`]: a queue that never blocks its caller; [`task`]: the thread behind it; [`counters`]: its state

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
/// The default limit of the database in bytes: 1 GiB.
pub const MOST_BYTES: u64 = 1 << 30;
/// The rows of probes and answers that are written on one day. Evidence of leaks is written beyond it. In 38 days they
/// use about half of [`MOST_BYTES`], however many packets outsiders send.
pub const UNPROVEN_A_DAY: u64 = 100_000;

/// The database of one state directory, and the exclusive right to it.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    kept: damaged::Kept,
    /// The boot of appended rows.
    boot: Option<Boot>,
    /// The limit of a day, for a sensor. Imports have none.
    cap: Option<worths::Cap>,
    /// The state of making room, between two steps of it.
    shrinking: Option<shrink::Shrinking>,
    /// Locked while it is open. If the process dies, the kernel releases the lock.
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

    /// Bytes on disk, including the write-ahead log.
    #[must_use]
    pub fn size(&self) -> u64 {
        open::size(&self.path)
    }
}

/// Why the store could not be changed. Nothing has changed, except where a variant says so.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The disk is full.
    #[error("no room is left for {}; free some, or shorten the retention", .0.display())]
    Full(PathBuf),
    /// Writing more would make the damage worse.
    #[error("{} is damaged ({source}); `tattler run` sets it aside and creates a new one, or move it out of the way yourself", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// Rows were deleted, and the files could not be rewritten.
    #[error("deleted, but traces are left in {}: {source}; a running sensor tries again every 30 s, otherwise repeat it when there is room and no export runs", path.display())]
    Traces {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// Anything else, such as a read-only file system or a failing disk.
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
