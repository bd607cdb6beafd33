//! Forgetting: deletes rows, and removes their bytes from the files.

use std::io;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, Transaction, params};
use tattler_core::forget::{Forget, Forgotten};

use super::{Store, WriteError, open};

/// The key of an entry in `meta` that exists while the files may contain bytes of deleted rows.
const TRACES: &str = "traces";

impl Store {
    /// Deletes the matching rows in one transaction and rewrites the database, so that the files of the state directory
    /// contain no byte of the deleted rows. If no row matches and the files contain no traces of an earlier deletion,
    /// nothing is written.
    ///
    /// # Errors
    /// [`WriteError::Traces`]: the rows are deleted, but bytes of the rows stay in the files until
    /// [`Store::wipe_traces`] succeeds. A [`Writer`](super::Writer) repeats [`Store::wipe_traces`]. Any other error:
    /// nothing has changed.
    pub fn forget(&mut self, all: &[Forget]) -> Result<Forgotten, WriteError> {
        let all: Vec<&Forget> = all.iter().filter(|forget| !forget.is_nothing()).collect();
        if all.is_empty() {
            return Ok(Forgotten::default());
        }
        let forgotten = delete(&mut self.connection, &all).map_err(|error| WriteError::new(&self.path, error))?;
        self.keep_acks();
        let damaged_files = self.forget_damaged().map_err(|error| {
            let source = rusqlite::Error::ToSqlConversionFailure(Box::new(error));
            WriteError::Traces { path: self.path.clone(), source }
        })?;
        self.wipe_traces()?;
        Ok(Forgotten { damaged_files, ..forgotten })
    }

    /// Whether the files may contain bytes of deleted rows.
    pub(super) fn has_traces(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1)";
        // The next read or write reports an unreadable database.
        self.connection.query_row(sql, [TRACES], |row| row.get(0)).unwrap_or(false)
    }

    /// Rewrites the database if the files may contain bytes of deleted rows.
    ///
    /// # Errors
    /// [`WriteError::Traces`] while another process reads the database, or if there is no room for a copy of the
    /// database.
    pub fn wipe_traces(&mut self) -> Result<(), WriteError> {
        if !self.has_traces() {
            return Ok(());
        }
        self.wipe().map_err(|source| WriteError::Traces { path: self.path.clone(), source })
    }

    /// Whether the store contains rows of the device with the name `id`.
    pub fn knows_device(&self, id: &str) -> Result<bool, WriteError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM contacts WHERE device = ?1)
                               OR EXISTS (SELECT 1 FROM probes WHERE device = ?1)";
        let known = self.connection.query_row(SQL, [id], |row| row.get(0));
        known.map_err(|error| WriteError::new(&self.path, error))
    }

    /// SQLite overwrites deleted rows. It does not overwrite the log, or copies of rows that were left when SQLite
    /// moved rows between pages. So all pages are replaced by the pages of a new copy, and the log is emptied.
    ///
    /// `VACUUM` would use a temporary file, possibly on another disk, or as much memory as the size of the database.
    fn wipe(&mut self) -> rusqlite::Result<()> {
        // While another process reads the log, this call fails before the expensive copy is made.
        empty_log(&self.connection)?;
        let copy = open::next(&self.path);
        let io = |error: io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        open::remove(&copy).and_then(|()| open::make_private(&copy)).map_err(io)?;
        let replaced = self.replace_pages(&copy);
        open::remove(&copy).map_err(io)?;
        replaced?;
        empty_log(&self.connection)
    }

    fn replace_pages(&mut self, copy: &Path) -> rusqlite::Result<()> {
        let path = copy.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(copy.to_owned()))?;
        self.connection.execute("VACUUM INTO ?1", [path])?;
        let from = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        from.execute("DELETE FROM meta WHERE key = ?1", [TRACES])?;
        match Backup::new(&from, &mut self.connection)?.step(-1)? {
            StepResult::Done => Ok(()),
            _ => Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)),
        }
    }
}

/// Copies the log into the database and truncates the log.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    if busy == 0 { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(code, Some("an export is reading it".into()))) }
}

/// Deletes the matching rows and records in `meta` that the files contain traces of deleted rows.
fn delete(connection: &mut Connection, all: &[&Forget]) -> rusqlite::Result<Forgotten> {
    // The temporary table contains the addresses of a device, which must not be written to another file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let mut work = || {
        let transaction = connection.transaction()?;
        let mut sum = Forgotten::default();
        for forget in all {
            sum = sum.and(within(&transaction, forget)?);
        }
        if sum != Forgotten::default() {
            transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, x'')", [TRACES])?;
        }
        transaction.commit()?;
        Ok(sum)
    };
    let forgotten = work();
    connection.pragma_update(None, "temp_store", "DEFAULT")?;
    forgotten
}

fn within(transaction: &Transaction<'_>, forget: &Forget) -> rusqlite::Result<Forgotten> {
    // The addresses of the device are collected before any deletion, because rows of one table select the rows to
    // delete in another table.
    transaction.execute_batch("CREATE TEMP TABLE device_locals (local BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")?;
    if let Some(device) = &forget.device {
        transaction.execute(
            "INSERT INTO device_locals SELECT local FROM contacts WHERE device = ?1
                        UNION SELECT target FROM probes WHERE device = ?1",
            [device],
        )?;
    }
    let (low, high) = match forget.prefix {
        Some(prefix) => (prefix.network().octets(), prefix.broadcast().octets()),
        None => ([0; 16], [0xff; 16]),
    };
    let before = forget.before.map_or(i64::MAX, |time| time.0);
    let by_device = forget.device.is_some();
    let exchange = |local: &str, remote: &str| {
        format!(
            "({local} BETWEEN ?1 AND ?2 OR {remote} BETWEEN ?1 AND ?2)
             AND (NOT ?3 OR {local} IN (SELECT local FROM device_locals))"
        )
    };
    let execute = |sql: &str| transaction.execute(sql, params![low, high, by_device, before]);
    let of_contacts = exchange("local", "remote");
    let contacts = execute(&format!("DELETE FROM contacts WHERE {of_contacts} AND last < ?4"))?;
    // Contacts that continued after the time `before` lose all data from before that time, including the count. Of the
    // two parts of a contact (`old_` and `new_`), the part with the latest time stays.
    let of_old = "ifnull(old_last > ifnull(new_last, old_last - 1), false)";
    let clipped = execute(&format!(
        "UPDATE contacts SET
            old_first = iif({of_old}, old_last, NULL), old_last = iif({of_old}, old_last, NULL),
            old_count = iif({of_old}, min(count, 1), NULL),
            new_first = iif({of_old}, NULL, new_last), new_last = iif({of_old}, NULL, new_last),
            new_count = iif({of_old}, NULL, min(count, 1))
         WHERE {of_contacts} AND first < ?4"
    ))?;
    let of_events = exchange("target", "source");
    let probes = execute(&format!("DELETE FROM probes WHERE {of_events} AND ts < ?4"))?;
    let answers = execute(&format!("DELETE FROM answers WHERE {of_events} AND ts < ?4"))?;
    // Acknowledgements belong to remotes, not to devices.
    let acks = transaction.execute(
        "DELETE FROM acks WHERE NOT ?3 AND remote BETWEEN ?1 AND ?2 AND length >= ?5 AND at < ?4",
        params![low, high, by_device, before, forget.prefix.map_or(0, |prefix| prefix.prefix_len())],
    )?;
    transaction.execute_batch("DROP TABLE device_locals")?;
    Ok(Forgotten {
        contacts: contacts as u64,
        clipped: clipped as u64,
        probes: probes as u64,
        answers: answers as u64,
        acks: acks as u64,
        damaged_files: 0,
    })
}
