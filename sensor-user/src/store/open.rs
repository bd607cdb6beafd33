//! Opens a state directory: its lock, its permissions, and the settings of the database.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tattler_files::reason;
use thiserror::Error;

use super::{Store, is_damage, schema};

/// Reason for a failure to open a state directory.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory can't be created, entered or written.
    #[error("cannot use the state directory {}: {}; run as its owner, or name another with --state", dir.display(), reason(source))]
    Directory {
        /// The state directory.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Other users could replace the files.
    #[error("others can write to the state directory {}; run `chmod go-w` on it, or name another with --state", .0.display())]
    Shared(PathBuf),
    /// Another sensor, or an import, uses the directory.
    #[error("the state directory {} is in use by another tattler{holder}; stop it, or name another with --state", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// The process that holds the lock on the directory, in brackets. Empty if unknown.
        holder: String,
    },
    /// A newer version of the program wrote the database. This version would misread the tables.
    #[error("{} has schema version {found}, this tattler knows up to {}; upgrade tattler, or name another directory with --state", path.display(), schema::VERSION)]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema version of the database.
        found: i64,
    },
    /// The directory contains no database.
    #[error("there is no database in {}; name the sensor's state directory with --state", .0.display())]
    Nothing(PathBuf),
    /// The file is not a database, or the database is damaged.
    #[error("{} is damaged ({source}); `tattler run` sets it aside and creates a new one, or move it out of the way yourself", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The file system can't keep a write-ahead log. The log needs memory shared between processes, which network file
    /// systems do not offer.
    #[error("cannot keep a write-ahead log next to {}; name a directory on a local file system with --state", .0.display())]
    NoLog(PathBuf),
    /// Any other error.
    #[error("cannot open {}: {source}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
}

impl OpenError {
    pub(super) fn new(path: &Path, source: rusqlite::Error) -> OpenError {
        let path = path.to_owned();
        if is_damage(&source) { OpenError::Damaged { path, source } } else { OpenError::Failed { path, source } }
    }
}

impl Store {
    /// Opens the database in `dir`. Creates the directory and the database if they are missing.
    ///
    /// Only the owner can access a new directory, or the files of the store in any directory. An existing directory
    /// keeps its mode, because it may contain other files.
    pub fn open(dir: &Path) -> Result<Store, OpenError> {
        let (path, lock) = prepare(dir)?;
        let connection = connect(&path)?;
        Ok(Store::new(connection, path, lock))
    }

    /// Opens an existing database in `dir`. Commands that change a database use this function, so that no new database
    /// is created in a mistyped directory.
    pub fn open_existing(dir: &Path) -> Result<Store, OpenError> {
        match fs::symlink_metadata(dir.join("tattler.db")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Nothing(dir.to_owned())),
            // `open` reports any other error.
            _ => Store::open(dir),
        }
    }
}

/// Creates the directory and an empty database in the directory if they are missing, and locks the directory.
pub(super) fn prepare(dir: &Path) -> Result<(PathBuf, File), OpenError> {
    let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(directory)?;
    // SQLite is configured to follow no symbolic links, so the path must contain no links.
    let dir = &dir.canonicalize().map_err(directory)?;
    if fs::metadata(dir).map_err(directory)?.mode() & 0o022 != 0 {
        return Err(OpenError::Shared(dir.clone()));
    }
    let lock = lock(dir)?;
    let path = dir.join("tattler.db");
    let next = next(&path);
    if path.exists() {
        // A sensor died before it could rename the damaged database.
        remove(&next).map_err(directory)?;
    } else if next.exists() {
        // A sensor died after it renamed the damaged database.
        fs::rename(&next, &path).map_err(directory)?;
    }
    make_private(&path).map_err(directory)?;
    Ok((path, lock))
}

/// The path at which the replacement of a damaged database is created.
pub(super) fn next(path: &Path) -> PathBuf {
    path.with_file_name("tattler.db.next")
}

/// Removes a database and its log, if they exist.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    files(path).iter().try_for_each(|file| match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

/// Number of bytes of the database and its log.
pub(super) fn size(path: &Path) -> u64 {
    files(path).iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

/// The paths of the database, of its log, and of the index of the log. SQLite keeps the three files in one directory.
pub(super) fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Prevents other processes from opening the database of a directory for writing while the returned file is open.
/// Returns `None` if the directory never had a database.
///
/// # Errors
/// Another process has the database open.
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
            let mut pid = String::new();
            let is_known = file.take(20).read_to_string(&mut pid).is_ok() && pid.trim().parse::<u32>().is_ok();
            let holder = if is_known { format!(" (process {})", pid.trim()) } else { String::new() };
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

/// Makes a database readable by its owner only. SQLite gives the same mode to the log.
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
    let failed = |source| OpenError::new(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let found = schema::version(&connection).map_err(failed)?;
    if found > schema::VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found });
    }
    // SQLite accepts this setting only before the first table is created. Retention by size needs the setting.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoLog(path.to_owned()));
    }
    // If the process dies, all commits are kept. After a power cut, the commits of the last seconds may be lost, but
    // the file is intact. FULL would sync the disk at every commit.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    // Contacts are stored in order of addresses, but arrive in any order. With the default cache of 2 MB, SQLite would
    // read and write the same pages repeatedly. The cache never grows beyond the size of the file.
    connection.pragma_update(None, "cache_size", -(32 << 10)).map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000).map_err(failed)?;
    // Overwrites deleted rows, so that forgotten addresses do not stay in free pages.
    connection.pragma_update(None, "secure_delete", true).map_err(failed)?;
    // Truncates the log after a large batch.
    connection.pragma_update(None, "journal_size_limit", 16 << 20).map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}
