//! Opening: the directory, its lock, its permissions, the settings of the database.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tattler_files::reason;
use thiserror::Error;

use super::{Store, is_damage, schema};

/// Why a state directory can't be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It can't be made, entered or written.
    #[error("cannot use the state directory {}: {}; run as its owner, or name another with --state", dir.display(), reason(source))]
    Directory {
        /// The state directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Someone else could put other files in place of ours.
    #[error("others can write to the state directory {}; run `chmod go-w` on it, or name another with --state", dir.display())]
    Shared {
        /// The state directory.
        dir: PathBuf,
    },
    /// Another sensor, or an import, is at work there.
    #[error("the state directory {} is in use by another tattler{holder}; stop it, or name another with --state", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// Its process, if it said so.
        holder: String,
    },
    /// Written by a newer program, whose tables this one would misread.
    #[error("{} has schema version {found}, this tattler knows up to {}; upgrade tattler, or name another directory with --state", path.display(), schema::VERSION)]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// There is nothing to read.
    #[error("there is no database in {}; name the sensor's state directory with --state", dir.display())]
    Nothing {
        /// The state directory.
        dir: PathBuf,
    },
    /// Not a database, or not any more.
    #[error("{} is damaged ({source}); `tattler run` sets it aside and begins a new one, or move it out of the way yourself", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A write-ahead log needs memory shared between processes, which network file systems lack.
    #[error("cannot keep a write-ahead log beside {}; name a directory on a local file system with --state", path.display())]
    NoLog {
        /// The database.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot open {}: {source}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl Store {
    /// Opens the database in `dir`; makes both if they are not there.
    ///
    /// A directory that is made here is the owner's alone. One that exists keeps its mode, because
    /// it may hold other things; the files in it are the owner's alone in any case.
    pub fn open(dir: &Path) -> Result<Store, OpenError> {
        let (path, lock) = prepare(dir)?;
        let connection = connect(&path)?;
        Ok(Store::new(connection, path, lock))
    }

    /// Opens the database in `dir` if there is one: to change what is there needs something there, and
    /// a mistyped directory should not get a diary of its own.
    pub fn open_existing(dir: &Path) -> Result<Store, OpenError> {
        match fs::symlink_metadata(dir.join("tattler.db")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Nothing { dir: dir.to_owned() }),
            // All else is told by opening it.
            _ => Store::open(dir),
        }
    }
}

/// Makes the directory and an empty database in it if they are not there, and locks it.
pub(super) fn prepare(dir: &Path) -> Result<(PathBuf, File), OpenError> {
    let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(directory)?;
    // Without links on the way SQLite can be told to follow none.
    let dir = &dir.canonicalize().map_err(directory)?;
    if fs::metadata(dir).map_err(directory)?.mode() & 0o022 != 0 {
        return Err(OpenError::Shared { dir: dir.clone() });
    }
    let lock = lock(dir)?;
    let path = dir.join("tattler.db");
    let next = next(&path);
    if path.exists() {
        // A life that ended before it could set the old one aside.
        remove(&next).map_err(directory)?;
    } else if next.exists() {
        // Or just after.
        fs::rename(&next, &path).map_err(directory)?;
    }
    make_private(&path).map_err(directory)?;
    Ok((path, lock))
}

/// Where the database that follows a damaged one is made.
pub(super) fn next(path: &Path) -> PathBuf {
    path.with_file_name("tattler.db.next")
}

/// Removes a database and what is beside it, as far as it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    files(path).iter().try_for_each(|file| match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

/// Bytes of the database and of what is beside it.
pub(super) fn size(path: &Path) -> u64 {
    files(path).iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

/// The database and what SQLite keeps beside it.
pub(super) fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Keeps everybody from opening the database of a directory for writing, as long as the file is held;
/// `None` if there never was one.
///
/// # Errors
/// When somebody has it open.
pub fn hold(dir: &Path) -> Result<Option<File>, OpenError> {
    if dir.join("tattler.lock").exists() { lock(dir).map(Some) } else { Ok(None) }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
    let mut file = private().open(dir.join("tattler.lock")).map_err(directory)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(directory(source)),
        Err(TryLockError::WouldBlock) => {
            // Who it is helps; not to know it is no failure of its own.
            let mut pid = String::new();
            let told = file.take(20).read_to_string(&mut pid).is_ok() && pid.trim().parse::<u32>().is_ok();
            let holder = if told { format!(" (process {})", pid.trim()) } else { String::new() };
            return Err(OpenError::InUse { dir: dir.to_owned(), holder });
        }
    }
    let write_pid = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write_pid(&mut file).map_err(directory)?;
    Ok(file)
}

/// SQLite gives its log the mode of the database, so the database has to be private first.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    private().open(path)?;
    for file in files(path).iter().filter(|file| file.exists()) {
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source: rusqlite::Error| match path.to_owned() {
        path if is_damage(&source) => OpenError::Damaged { path, source },
        path => OpenError::Failed { path, source },
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let found = schema::version(&connection).map_err(failed)?;
    if found > schema::VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found });
    }
    // Only a file without tables takes this one; retention by size will want it.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { path: path.to_owned() });
    }
    // A dead process loses nothing that was committed; a power cut may lose the last seconds, and
    // leaves the file whole. FULL would sync the disk at every commit.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    // Contacts lie in order of addresses, and those come in any order: 2 MB, as is usual, would be
    // read and written over and over. Taken only as far as the file is large.
    connection.pragma_update(None, "cache_size", -(32 << 10)).map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000).map_err(failed)?;
    // What is deleted is overwritten: a diary that forgets does not leave its pages lying about.
    connection.pragma_update(None, "secure_delete", true).map_err(failed)?;
    // A large batch must not leave a large log behind.
    connection.pragma_update(None, "journal_size_limit", 16 << 20).map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}
