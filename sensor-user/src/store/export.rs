//! Out, into files: a second look at a diary that a sensor may be writing to. Nothing is changed, and
//! what is seen is of one moment.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tattler_core::observation::Observation;
use tattler_core::time::Time;
use tattler_files::jsonl::{BackupEntry, to_json_line};
use thiserror::Error;

use super::open::OpenError;
use super::replay::{self, ReplayError};
use super::{Store, acks, is_damage, key, schema};

/// The database of a state directory, to read from. Its owner can, and root.
pub struct Snapshot {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// What to export.
#[derive(Clone, Copy, Debug, Default)]
pub struct Export {
    /// All that the diary holds, so that it can be restored: answers, acknowledgements and the key of
    /// the devices' names too.
    pub all: bool,
    /// Not what ended before.
    pub since: Option<Time>,
    /// Not what began after.
    pub until: Option<Time>,
}

/// Why an export is not whole.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The database can't be read to its end.
    #[error(transparent)]
    Read(#[from] ReplayError),
    /// The lines can't be written.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
}

impl Snapshot {
    /// Opens what is there. A database of an older version is brought up to date first, which takes
    /// that no sensor runs on it.
    pub fn open(dir: &Path) -> Result<Snapshot, OpenError> {
        let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
        let dir = &dir.canonicalize().map_err(directory)?;
        let path = dir.join("tattler.db");
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Nothing { dir: dir.clone() });
            }
            Err(error) => return Err(directory(error)),
            Ok(_) => {}
        }
        let failed = |source: rusqlite::Error| match path.clone() {
            path if is_damage(&source) => OpenError::Damaged { path, source },
            path => OpenError::Failed { path, source },
        };
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || Connection::open_with_flags(&path, flags).map_err(failed);
        let mut connection = open()?;
        let mut found = schema::version(&connection).map_err(failed)?;
        if found < schema::VERSION {
            drop(connection);
            drop(Store::open(dir)?);
            connection = open()?;
            found = schema::version(&connection).map_err(failed)?;
        }
        if found > schema::VERSION {
            return Err(OpenError::Newer { path, found });
        }
        Ok(Snapshot { connection, path })
    }

    /// Writes observations as JSON Lines, in order of time and always in the same one; says how many
    /// lines. Sensors go on writing meanwhile, and their log grows until this is done.
    pub fn export(&self, export: &Export, out: &mut dyn Write) -> Result<u64, ExportError> {
        let read = |error| ExportError::Read(ReplayError::new(&self.path, error));
        // One moment for all tables.
        let _moment = self.connection.unchecked_transaction().map_err(read)?;
        let mut lines = 0;
        let mut written = Ok(());
        let mut put = |line: Option<String>| {
            if let (Some(line), Ok(())) = (line, &written) {
                written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
                lines += 1;
            }
        };
        if export.all {
            let key = key::read(&self.connection).map_err(read)?;
            put(key.and_then(|key| BackupEntry::DeviceKey(*key.bytes()).to_json_line()));
            for ack in acks::read(&self.connection).map_err(read)? {
                put(BackupEntry::Ack(ack).to_json_line());
            }
        }
        let since = export.since.unwrap_or(Time(i64::MIN));
        let until = export.until.unwrap_or(Time(i64::MAX));
        let mut give = |observation: Observation| {
            let is_told = export.all || !matches!(observation, Observation::Answer(_));
            if is_told && observation.ts() <= until {
                put(to_json_line(&observation));
            }
        };
        replay::read(&self.connection, since, &mut give).map_err(read)?;
        written.map_err(ExportError::Write)?;
        out.flush().map_err(ExportError::Write)?;
        Ok(lines)
    }
}
