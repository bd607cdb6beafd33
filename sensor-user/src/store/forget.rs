//! Forgetting: rows that must leave the bytes of the files too.

use std::io;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, Transaction, params};
use tattler_core::forget::{Forget, Forgotten};

use super::{Store, WriteError, open};

/// In `meta` while deleted rows may have left bytes in the files.
const TRACES: &str = "traces";

impl Store {
    /// Deletes what is asked for, and rewrites the database so that no byte of it stays in the files of
    /// the state directory. If no row matches and nothing is left of an earlier deletion, all rows of
    /// [`Forgotten`] are 0 and nothing is written.
    ///
    /// # Errors
    /// [`WriteError::Traces`]: the rows are deleted, and bytes of them stay in the files until
    /// [`Store::wipe_traces`] succeeds, which the thread of a [`Writer`](super::Writer) sees to. Any other:
    /// nothing has happened.
    pub fn forget(&mut self, forget: &Forget) -> Result<Forgotten, WriteError> {
        self.forget_all(std::slice::from_ref(forget))
    }

    /// As [`Store::forget`]: all of them in one transaction, and the database is rewritten once.
    pub fn forget_all(&mut self, all: &[Forget]) -> Result<Forgotten, WriteError> {
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

    /// Whether deleted rows may have left bytes in the files.
    pub(super) fn has_traces(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1)";
        // A database that can't be read has more to worry about.
        self.connection.query_row(sql, [TRACES], |row| row.get(0)).unwrap_or(false)
    }

    /// Rewrites the database if deleted rows may have left bytes in it.
    ///
    /// # Errors
    /// [`WriteError::Traces`], while somebody reads the database or there is no room for its copy.
    pub fn wipe_traces(&mut self) -> Result<(), WriteError> {
        if !self.has_traces() {
            return Ok(());
        }
        self.wipe().map_err(|source| WriteError::Traces { path: self.path.clone(), source })
    }

    /// Whether there is anything of a device that is known as `id`.
    pub fn knows_device(&self, id: &str) -> Result<bool, WriteError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM contacts WHERE device = ?1)
                               OR EXISTS (SELECT 1 FROM probes WHERE device = ?1)";
        let known = self.connection.query_row(SQL, [id], |row| row.get(0));
        known.map_err(|error| WriteError::new(&self.path, error))
    }

    /// Deleted rows are overwritten where they were; but copies stay where SQLite moved rows between
    /// pages, and in the log. So all pages are replaced by those of a fresh copy, and the log is emptied.
    ///
    /// `VACUUM` does the same by a temporary file, which may be on another disk, or as large as the
    /// database in memory.
    fn wipe(&mut self) -> rusqlite::Result<()> {
        // A reader would keep the log: then spare the disk the copy.
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

/// Moves the log into the database and cuts it to nothing.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    if busy == 0 { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(code, Some("an export is reading it".into()))) }
}

/// Deletes what is meant and notes that traces of it are left.
fn delete(connection: &mut Connection, all: &[&Forget]) -> rusqlite::Result<Forgotten> {
    // The addresses of a device: small, and not to be in a file elsewhere.
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
    // Set down first: what is deleted from one table decides no longer about the next.
    transaction.execute_batch("CREATE TEMP TABLE gone (local BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")?;
    if let Some(device) = &forget.device {
        transaction.execute(
            "INSERT INTO gone SELECT local FROM contacts WHERE device = ?1
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
    let all = forget.before.is_none();
    let means = |local: &str, remote: &str| {
        format!(
            "({local} BETWEEN ?1 AND ?2 OR {remote} BETWEEN ?1 AND ?2)
             AND (NOT ?3 OR {local} IN (SELECT local FROM gone))"
        )
    };
    let exchange = means("local", "remote");
    let contacts = transaction.execute(
        &format!("DELETE FROM contacts WHERE {exchange} AND (?5 OR last < ?4)"),
        params![low, high, by_device, before, all],
    )?;
    // It went on after that time: of what is before, not even the count stays.
    let clipped = if all {
        0
    } else {
        // The part that has the last of it stays.
        let of_old = "ifnull(old_last > ifnull(new_last, old_last - 1), false)";
        transaction.execute(
            &format!(
                "UPDATE contacts SET
                    old_first = iif({of_old}, old_last, NULL), old_last = iif({of_old}, old_last, NULL),
                    old_count = iif({of_old}, min(count, 1), NULL),
                    new_first = iif({of_old}, NULL, new_last), new_last = iif({of_old}, NULL, new_last),
                    new_count = iif({of_old}, NULL, min(count, 1))
                 WHERE {exchange} AND first < ?4"
            ),
            params![low, high, by_device, before],
        )?
    };
    let events = |table: &str| {
        let exchange = means("target", "source");
        let sql = format!("DELETE FROM {table} WHERE {exchange} AND (?5 OR ts < ?4)");
        transaction.execute(&sql, params![low, high, by_device, before, all])
    };
    let (probes, answers) = (events("probes")?, events("answers")?);
    // Acknowledgements tell of remotes, not of devices.
    let acks = if by_device {
        0
    } else {
        let length = forget.prefix.map_or(0, |prefix| prefix.prefix_len());
        transaction.execute(
            "DELETE FROM acks WHERE remote BETWEEN ?1 AND ?2 AND length >= ?3 AND (?5 OR at < ?4)",
            params![low, high, length, before, all],
        )?
    };
    transaction.execute_batch("DROP TABLE gone")?;
    Ok(Forgotten {
        contacts: contacts as u64,
        clipped: clipped as u64,
        probes: probes as u64,
        answers: answers as u64,
        acks: acks as u64,
        damaged_files: 0,
    })
}
