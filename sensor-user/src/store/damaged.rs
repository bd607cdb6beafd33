//! Replaces a damaged database. The damaged database is *set aside*: renamed, and kept for a limited time.
//!
//! The new database gets the key of the device names, the acknowledgements and the mark of the ring. The user can
//! recover more rows from the damaged database: see docs/guide.md (`sqlite3 FILE .dump`).

use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OpenFlags};
use tattler_core::ack::Ack;
use tattler_core::time::{Span, Time};

use super::open::{self, OpenError};
use super::{DeviceKey, Store, WriteError, acks, key, positions};
use crate::mark::Mark;

/// The start of the file names. The time follows, then `-wal` or `-shm` for the files of the log.
const STEM: &str = "tattler.db.damaged-";
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";
/// Maximum number of damaged databases that are kept. The latest are kept.
const MOST: usize = 3;

/// A database that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedDatabase {
    /// The original path, now the path of the new database.
    pub from: PathBuf,
    /// The new path of the damaged database.
    pub to: PathBuf,
    /// The damage.
    pub why: String,
    /// Whether devices keep their names.
    pub same_names: bool,
}

/// One line: the damage, and how to read the rest of the damaged database.
impl Display for DamagedDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DamagedDatabase { from, to, why, same_names } = self;
        let names = if *same_names { "" } else { "; devices get new names, since their key was in it" };
        write!(
            f,
            "{} is damaged ({why}): it is set aside as {} and a new one is created; `sqlite3 {1} .dump` shows what can \
             still be read of it{names}",
            from.display(),
            to.display()
        )
    }
}

/// Data that is copied to the new database if this database is damaged.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) key: Option<DeviceKey>,
    pub(super) acks: Vec<Ack>,
    /// The position in the ring up to which events are stored. Later events are still in the ring.
    pub(super) mark: Option<Mark>,
    /// The kernel's id of this boot. `None` before [`Store::begin_boot`].
    pub(super) boot_id: Option<String>,
    /// Number of databases set aside since the start. `last` is the path of the latest such database.
    pub(super) count: u64,
    pub(super) last: Option<PathBuf>,
    /// The new path of the open database, if that database is set aside and the new database is not created yet.
    moved: Option<PathBuf>,
    /// Damage that a user of [`StoreHandle::with`](super::StoreHandle::with) found.
    suspicion: Option<String>,
}

impl Store {
    /// [`Store::open`] for the sensor: sets a damaged database aside and creates a new database.
    ///
    /// # Errors
    /// The errors of [`Store::open`], except damage. A database of a newer version is not moved.
    pub fn open_or_replace(dir: &Path, now: Time) -> Result<(Store, Option<DamagedDatabase>), OpenError> {
        let (path, lock) = open::prepare(dir)?;
        match open::connect(&path) {
            Ok(connection) => Ok((Store::new(connection, path, lock), None)),
            Err(OpenError::Damaged { path, source }) => {
                // The damaged database is opened to read its remaining rows. If it can't be opened, an empty database
                // in memory is used instead.
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW;
                let damaged = Connection::open_with_flags(&path, flags).or_else(|_| Connection::open_in_memory());
                let connection = damaged.map_err(|source| OpenError::Failed { path: path.clone(), source })?;
                let mut store = Store::new(connection, path, lock);
                let aside = store.replace_damaged(&source, now)?;
                Ok((store, Some(aside)))
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the database aside and creates a new database. The new database gets the key and the acknowledgements if
    /// these are known or still readable. The caller may repeat the call after an error; the database is not moved
    /// twice.
    ///
    /// # Errors
    /// The directory is not writable or has no room.
    pub fn replace_damaged(&mut self, why: &dyn Display, now: Time) -> Result<DamagedDatabase, OpenError> {
        if let Ok(Some(key)) = key::read(&self.connection) {
            self.kept.key = Some(key);
        }
        if let Ok(acks) = acks::read(&self.connection) {
            self.kept.acks = acks;
        }
        if let Ok(Some(mark)) = self.mark() {
            self.kept.mark = Some(mark);
        }
        let dir = self.dir().to_owned();
        let directory = |source| OpenError::Directory { dir: dir.clone(), source };
        let to = match self.kept.moved.take() {
            Some(to) => to,
            None => {
                // The kept data must be in a new file before the old file is moved.
                drop(self.create_at(&open::next(&self.path))?);
                move_aside(&self.path, now).map_err(directory)?
            }
        };
        // SQLite detects that the old file was moved, so closing the old connection changes no log. The damaged
        // database keeps its log, and the new database keeps a separate log.
        match self.create() {
            Ok(connection) => self.connection = connection,
            Err(error) => {
                self.kept.moved = Some(to);
                return Err(error);
            }
        }
        // New rows belong to the same boot, with the same origin.
        if let (Some(id), Some(boot)) = (self.kept.boot_id.clone(), self.boot) {
            self.begin_boot(&id, boot.origin).map_err(|error| OpenError::Directory {
                dir: self.dir().to_owned(),
                source: io::Error::other(error),
            })?;
        }
        self.kept.count += 1;
        self.kept.last = Some(to.clone());
        let same_names = self.kept.key.is_some();
        Ok(DamagedDatabase { from: self.path.clone(), to, why: why.to_string(), same_names })
    }

    fn create(&self) -> Result<Connection, OpenError> {
        let next = open::next(&self.path);
        if next.exists() {
            let directory = |source| OpenError::Directory { dir: self.dir().to_owned(), source };
            fs::rename(&next, &self.path).map_err(directory)?;
        }
        self.create_at(&self.path)
    }

    /// Creates a database with the kept data.
    fn create_at(&self, path: &Path) -> Result<Connection, OpenError> {
        open::make_private(path).map_err(|source| OpenError::Directory { dir: self.dir().to_owned(), source })?;
        let connection = open::connect(path)?;
        let write = || {
            self.kept.key.iter().try_for_each(|key| key::write(&connection, key))?;
            self.kept.mark.iter().try_for_each(|mark| positions::write_mark(&connection, mark))?;
            self.kept.acks.iter().try_for_each(|ack| acks::write(&connection, ack))
        };
        write().map_err(|source| OpenError::Failed { path: path.to_owned(), source })?;
        Ok(connection)
    }

    /// Records damage for `Store::suspicion`, if damage is the reason for the error.
    pub fn suspect(&mut self, error: &WriteError) {
        if let WriteError::Damaged { source, .. } = error {
            self.kept.suspicion = Some(source.to_string());
        }
    }

    /// Returns and clears the damage recorded since the last call.
    pub(super) fn suspicion(&mut self) -> Option<String> {
        self.kept.suspicion.take()
    }

    /// Number of databases set aside since the start, and path of the latest such database.
    #[must_use]
    pub fn damaged(&self) -> (u64, Option<&Path>) {
        (self.kept.count, self.kept.last.as_deref())
    }

    /// Deletes damaged databases: all except the latest three, and all that are older than `retention`. If the latest
    /// databases use more than `most_bytes` together, the oldest are deleted until the rest fits. The limit in bytes
    /// never deletes the latest.
    ///
    /// # Errors
    /// A file can't be deleted.
    pub fn tidy(&self, now: Time, retention: Span, most_bytes: u64) -> io::Result<()> {
        let mut bytes = 0u64;
        for (n, (at, path)) in all_damaged(self.dir())?.into_iter().rev().enumerate() {
            bytes += open::size(&path);
            // The time in the name may be wrong, if the clock was not set yet. So the time of the last write to the
            // file counts if it is later.
            let written = fs::metadata(&path).and_then(|file| file.modified()).ok();
            let at = written
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
                .map_or(at, |since| at.max(Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))));
            if n >= MOST || at < now - retention || (n > 0 && bytes > most_bytes) {
                open::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Deletes all damaged databases and returns the number of deleted databases. Single rows can't be deleted reliably
    /// from a damaged database.
    pub(super) fn forget_damaged(&self) -> io::Result<u64> {
        let all = all_damaged(self.dir())?;
        all.iter().try_for_each(|(_, path)| open::remove(path))?;
        Ok(all.len() as u64)
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// Renames a database and its log, the log first. After a crash between the renames, the old database lacks its latest
/// rows, but no new database can get the log of the old database.
fn move_aside(path: &Path, now: Time) -> io::Result<PathBuf> {
    let mut at = now.timestamp();
    let to = loop {
        let to = path.with_file_name(format!("{STEM}{}", at.strftime(STAMP)));
        if open::files(&to).iter().all(|file| fs::symlink_metadata(file).is_err()) {
            break to;
        }
        at = Timestamp::from_second(at.as_second() + 1).map_err(io::Error::other)?;
    };
    for (from, to) in open::files(path).iter().zip(open::files(&to)).rev() {
        match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(to)
}

/// Lists the damaged databases, sorted by the time in their names. Files that the user renamed are ignored.
fn all_damaged(dir: &Path) -> io::Result<Vec<(Time, PathBuf)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let stamp = name.to_str().and_then(|name| name.strip_prefix(STEM)).map(|rest| {
            let database = rest.trim_end_matches("-wal").trim_end_matches("-shm");
            (database, DateTime::strptime(STAMP, database).and_then(|at| at.to_zoned(TimeZone::UTC)))
        });
        if let Some((database, Ok(at))) = stamp {
            all.push((Time(at.timestamp().as_microsecond()), dir.join(format!("{STEM}{database}"))));
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
#[path = "damaged_tests.rs"]
mod tests;
