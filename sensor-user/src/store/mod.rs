//! The memory across restarts: a diary of contacts, probes and answers in SQLite.
//!
//! The ledger is rebuilt from it at start; nothing is decided here. One sensor owns a state
//! directory, and within the sensor one thread owns the [`Store`].
//!
//! # Layout
//! - [`open`]: the directory, its lock, its permissions
//! - [`schema`]: the tables, and how an older file becomes a newer one
//! - [`append`], [`replay`]: in and out; [`prune`]: rows leave by age
//! - [`shrink`]: rows leave for want of room, those that prove least first; [`worths`]: how much a row proves, and
//!   how many rows that prove nothing are written on one day
//! - [`read`]: for queries, beside the writer and without the lock
//! - [`forget`]: away for good, from the bytes of the files too
//! - [`import`], [`export`]: in out of files, and out into files while a sensor writes; `positions`: how
//!   far files were imported
//! - [`marks`]: how far the sensor's ring was brought here
//! - [`acks`], [`key`]: acknowledged remotes, and names for devices
//! - [`aside`]: a damaged database makes way for a new one
//! - [`boot`], [`believe`]: the dates of rows, and the time that retention goes by
//! - [`writer`]: a queue that never makes its caller wait; [`task`]: the thread that empties it, [`counters`] what it says; [`stall`]: whether its disk does

mod acks;
mod append;
mod aside;
mod believe;
mod boot;
mod counters;
#[cfg(test)]
mod diary_tests;
mod export;
#[cfg(test)]
mod flood_tests;
mod forget;
mod import;
mod key;
mod marks;
mod open;
mod positions;
mod prune;
mod read;
mod replay;
mod schema;
mod shrink;
mod stall;
mod task;
#[cfg(test)]
pub(crate) mod tests;
mod worths;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use aside::Aside;
pub use believe::Belief;
pub use boot::Boot;
pub use counters::Counters;
pub use export::{Export, ExportError, Snapshot};
pub use import::{ImportSettings, Imported, Importer};
pub use key::DeviceKey;
pub use open::{OpenError, hold};
pub use read::{Reader, Summary as Holdings};
pub use replay::ReplayError;
use rusqlite::{Connection, ErrorCode};
use tattler_core::time::Span;
use thiserror::Error;
pub use writer::{Handle, Settings, Summary, Writer};

/// Where the diary is unless told otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/tattler";
/// How long it is kept unless told otherwise.
pub const RETENTION: Span = Span::from_days(38);
/// Bytes that it takes at most unless told otherwise: 1 GiB.
pub const MOST_BYTES: u64 = 1 << 30;
/// Rows of probes and answers that are written on one day; evidence of leaks beyond. In 38 days they take half of
/// [`MOST_BYTES`], however many outsiders send.
pub const UNPROVEN_A_DAY: u64 = 100_000;

/// The database of one state directory, and the exclusive right to it.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    kept: aside::Kept,
    /// What is appended is of it.
    boot: Option<Boot>,
    /// Bounds what a sensor writes; an import is not bounded.
    cap: Option<worths::Cap>,
    /// Making room, while that is under way.
    shrinking: Option<shrink::Shrinking>,
    /// Locked for as long as it is open; the kernel lets go of it when the process dies.
    _lock: File,
}

impl Store {
    fn new(connection: Connection, path: PathBuf, lock: File) -> Store {
        Store { connection, path, kept: aside::Kept::default(), boot: None, cap: None, shrinking: None, _lock: lock }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on disk, the write-ahead log included.
    #[must_use]
    pub fn size(&self) -> u64 {
        open::size(&self.path)
    }
}

/// Why the store could not be changed. The change has not happened, not even in part, unless the
/// variant says so.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Nothing can be written until there is room.
    #[error("no room is left for {}; free some, or shorten the retention", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// Writing on makes it worse.
    #[error("{} is damaged ({source}); `tattler run` sets it aside and begins a new one, or move it out of the way yourself", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Rows were forgotten, and the files could not be rewritten.
    #[error("deleted, but traces are left in {}: {source}; a running sensor tries again every 30 s, otherwise repeat it when there is room and no export runs", path.display())]
    Traces {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Anything else: a read-only file system, a disk that fails.
    #[error("cannot write to {}: {source}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl WriteError {
    /// Whether a new database would do.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, WriteError::Damaged { .. })
    }

    fn new(path: &Path, source: rusqlite::Error) -> WriteError {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => WriteError::Full { path },
            _ if is_damage(&source) => WriteError::Damaged { path, source },
            _ => WriteError::Failed { path, source },
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
