//! Replaces a damaged database. The damaged one is set aside under a new name and kept for a while.
//!
//! The new database gets the key of the device names, the acknowledgements and the mark of the ring. A
//! person can get more from the old one: docs/guide.md shows how (`sqlite3 FILE .dump`).

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

/// The begin of the file names. The time follows, then `-wal` and `-shm` for the files of the log.
const STEM: &str = "tattler.db.damaged-";
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";
/// The number of damaged databases that are kept, the latest ones.
const MOST: usize = 3;

/// A database that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedDatabase {
    /// The old path, now of the new database.
    pub from: PathBuf,
    /// The new path.
    pub to: PathBuf,
    /// The damage.
    pub why: String,
    /// Whether devices keep their names.
    pub same_names: bool,
}

/// One line, with the way out.
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

/// Facts for a new database, if this one is damaged.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) key: Option<DeviceKey>,
    pub(super) acks: Vec<Ack>,
    /// How far the ring is stored. Later events are still in the ring.
    pub(super) mark: Option<Mark>,
    /// The kernel's id of this boot, once rows belong to it.
    pub(super) boot_id: Option<String>,
    /// The number of damaged databases since the start, and the last of them.
    pub(super) count: u64,
    pub(super) last: Option<PathBuf>,
    /// The new path of the open database, if it is set aside and the new one is still to be created.
    moved: Option<PathBuf>,
    /// Damage that a user of [`StoreHandle::with`](super::StoreHandle::with) found.
    suspicion: Option<String>,
}

impl Store {
    /// [`Store::open`] for the sensor: sets a damaged database aside and creates a new one.
    ///
    /// # Errors
    /// As for [`Store::open`]. A database of a newer version stays where it is.
    pub fn open_or_replace(dir: &Path, now: Time) -> Result<(Store, Option<DamagedDatabase>), OpenError> {
        let (path, lock) = open::prepare(dir)?;
        match open::connect(&path) {
            Ok(connection) => Ok((Store::new(connection, path, lock), None)),
            Err(OpenError::Damaged { path, source }) => {
                // Opened to read what is left of it. If that fails, the empty one in memory stands in.
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

    /// Sets the database aside and creates a new one, with the key and the acknowledgements if they are known or can
    /// still be read. May be called again after an error; the database is then not moved twice.
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
                // The kept facts are in a new file before the old one is moved.
                drop(self.create_at(&open::next(&self.path))?);
                move_aside(&self.path, now).map_err(directory)?
            }
        };
        // Closing the old connection changes no log: SQLite notices that the file was moved. So the damaged database
        // keeps its log, and the new one keeps its own.
        match self.create() {
            Ok(connection) => self.connection = connection,
            Err(error) => {
                self.kept.moved = Some(to);
                return Err(error);
            }
        }
        // New rows belong to the same boot and have the same origin.
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

    /// Creates a database with the kept facts.
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

    /// Remembers damage, if this is why work on the database failed.
    pub fn suspect(&mut self, error: &WriteError) {
        if let WriteError::Damaged { source, .. } = error {
            self.kept.suspicion = Some(source.to_string());
        }
    }

    /// The damage remembered since the last call.
    pub(super) fn suspicion(&mut self) -> Option<String> {
        self.kept.suspicion.take()
    }

    /// The number of damaged databases since the start, and the last of them.
    #[must_use]
    pub fn damaged(&self) -> (u64, Option<&Path>) {
        (self.kept.count, self.kept.last.as_deref())
    }

    /// Deletes damaged databases: all but the latest few, those older than `retention`, and, if they have more than
    /// `most_bytes`, all but the latest.
    ///
    /// # Errors
    /// A file can't be deleted.
    pub fn tidy(&self, now: Time, retention: Span, most_bytes: u64) -> io::Result<()> {
        let mut bytes = 0u64;
        for (n, (at, path)) in all_damaged(self.dir())?.into_iter().rev().enumerate() {
            bytes += open::size(&path);
            // The clock may not have been set when the name was given. The file has the time of its last write.
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

    /// Deletes all damaged databases and returns their number. Rows can't be deleted from them reliably.
    pub(super) fn forget_damaged(&self) -> io::Result<u64> {
        let all = all_damaged(self.dir())?;
        all.iter().try_for_each(|(_, path)| open::remove(path))?;
        Ok(all.len() as u64)
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// Renames a database and its log, the log first: a crash in between leaves a database without its latest rows, and
/// never a new database with the log of the old one.
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

/// Damaged databases by the time when they were set aside. Files that the user renamed are left alone.
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
