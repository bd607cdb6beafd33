//! Aside: a damaged database gets out of the way of the next one under a new name, and is kept for a
//! while for who wants to look what can still be read of it.
//!
//! Nothing is salvaged but what is small and is read at once: the key of the devices' names and the
//! acknowledgements. The rest is for a person to decide: docs/guide.md says how (`sqlite3 FILE .dump`).

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
use super::{DeviceKey, Store, WriteError, acks, key, marks};
use crate::mark::Mark;

/// How the names of damaged databases begin; the time follows, then `-wal` and `-shm` for what is
/// beside it.
const STEM: &str = "tattler.db.damaged-";
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";
/// Damaged databases that are kept, the latest.
const MOST: usize = 3;

/// A database that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it was, and the new one is.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// Whether devices keep their names.
    pub same_names: bool,
}

/// What is to be done with it stands in one line.
impl Display for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Aside { from, to, why, same_names } = self;
        let names = if *same_names { "" } else { "; devices get new names, since their key was in it" };
        write!(
            f,
            "{} is damaged ({why}): it is set aside as {} and a new one is begun; `sqlite3 {1} .dump` shows what can \
             still be read of it{names}",
            from.display(),
            to.display()
        )
    }
}

/// What a store knows of itself in case its file is lost.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) key: Option<DeviceKey>,
    pub(super) acks: Vec<Ack>,
    /// How far the ring was brought: what comes after it is still there.
    pub(super) mark: Option<Mark>,
    /// What the kernel calls this boot, once rows are of it.
    pub(super) boot_id: Option<String>,
    /// Damaged files of this life, and the last of them.
    pub(super) count: u64,
    pub(super) last: Option<PathBuf>,
    /// The open file is aside already, and the next one is yet to be begun.
    moved: Option<PathBuf>,
    /// What is wrong with the database, as somebody found who worked on it.
    suspicion: Option<String>,
}

impl Store {
    /// As [`Store::open`], for the sensor: a damaged database is set aside, and a new one begun.
    ///
    /// # Errors
    /// As [`Store::open`]: a database of a newer version stays where it is.
    pub fn open_or_begin_anew(dir: &Path, now: Time) -> Result<(Store, Option<Aside>), OpenError> {
        let (path, lock) = open::prepare(dir)?;
        match open::connect(&path) {
            Ok(connection) => Ok((Store::new(connection, path, lock), None)),
            Err(OpenError::Damaged { path, source }) => {
                // Whatever of it can be read. The placeholder takes nothing: it is gone with the next line.
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW;
                let damaged = Connection::open_with_flags(&path, flags).or_else(|_| Connection::open_in_memory());
                let connection = damaged.map_err(|source| OpenError::Failed { path: path.clone(), source })?;
                let mut store = Store::new(connection, path, lock);
                let aside = store.begin_anew(&source, now)?;
                Ok((store, Some(aside)))
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the database aside and begins a new one, with the key and the acknowledgements if they can
    /// still be read, or are known. To be repeated after a failure: nothing is moved twice.
    ///
    /// # Errors
    /// The directory can't be written, or has no room for another database.
    pub fn begin_anew(&mut self, why: &dyn Display, now: Time) -> Result<Aside, OpenError> {
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
                // What is to be kept is in a file before the one that has it goes.
                drop(self.begun_at(&open::next(&self.path))?);
                move_aside(&self.path, now).map_err(directory)?
            }
        };
        // SQLite leaves the log of a file that was moved as it is, for who looks into it: the connection
        // that is closed here does not take it over, nor delete the one that has its name now.
        match self.begun() {
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
        Ok(Aside { from: self.path.clone(), to, why: why.to_string(), same_names })
    }

    fn begun(&self) -> Result<Connection, OpenError> {
        let next = open::next(&self.path);
        if next.exists() {
            let directory = |source| OpenError::Directory { dir: self.dir().to_owned(), source };
            fs::rename(&next, &self.path).map_err(directory)?;
        }
        self.begun_at(&self.path)
    }

    /// A database with what is to be kept.
    fn begun_at(&self, path: &Path) -> Result<Connection, OpenError> {
        open::make_private(path).map_err(|source| OpenError::Directory { dir: self.dir().to_owned(), source })?;
        let connection = open::connect(path)?;
        let write = || {
            self.kept.key.iter().try_for_each(|key| key::write(&connection, key))?;
            self.kept.mark.iter().try_for_each(|mark| marks::write(&connection, mark))?;
            self.kept.acks.iter().try_for_each(|ack| acks::write(&connection, ack))
        };
        write().map_err(|source| OpenError::Failed { path: path.to_owned(), source })?;
        Ok(connection)
    }

    /// Remembers that work on the database found damage, if this is why it failed.
    pub fn suspect(&mut self, error: &WriteError) {
        if let WriteError::Damaged { source, .. } = error {
            self.kept.suspicion = Some(source.to_string());
        }
    }

    /// What was suspected since this was asked last.
    pub(super) fn suspicion(&mut self) -> Option<String> {
        self.kept.suspicion.take()
    }

    /// Damaged databases of this life, and the last of them.
    #[must_use]
    pub fn damaged(&self) -> (u64, Option<&Path>) {
        (self.kept.count, self.kept.last.as_deref())
    }

    /// Deletes what was set aside: all but the latest few, what is older than `retention`, and, of more
    /// than `most_bytes`, all but the latest.
    ///
    /// # Errors
    /// Some are left.
    pub fn tidy(&self, now: Time, retention: Span, most_bytes: u64) -> io::Result<()> {
        let mut bytes = 0u64;
        for (n, (at, path)) in asides(self.dir())?.into_iter().rev().enumerate() {
            bytes += open::size(&path);
            // A clock that was not set yet may have named it; the file is of the last write.
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

    /// Deletes all that was set aside, and says how many: nobody can tell what of it is to be forgotten.
    pub(super) fn forget_damaged(&self) -> io::Result<u64> {
        let all = asides(self.dir())?;
        all.iter().try_for_each(|(_, path)| open::remove(path))?;
        Ok(all.len() as u64)
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// Gives a database and what is beside it another name. The log first: a crash in between leaves a
/// database without its latest rows, and never a new one with the log of another.
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

/// Damaged databases and when they were set aside, in this order. What somebody named otherwise is not
/// ours any more.
fn asides(dir: &Path) -> io::Result<Vec<(Time, PathBuf)>> {
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
#[path = "aside_tests.rs"]
mod tests;
