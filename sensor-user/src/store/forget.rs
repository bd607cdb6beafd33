//! Away for good: rows that must be gone from the bytes of the files too.

use rusqlite::{Connection, Transaction, params};
use tattler_core::forget::{Forget, Forgotten};

use super::{Store, WriteError};

impl Store {
    /// Deletes what is asked for, in one transaction, and then writes the database anew, so that no
    /// byte of it stays in the files of the state directory. Deletes nothing if nothing is asked for.
    ///
    /// # Errors
    /// Before the deletion, nothing has happened. [`WriteError::Traces`]: the rows are deleted, and
    /// bytes of them are left in the files until this is done once more.
    pub fn forget(&mut self, forget: &Forget) -> Result<Forgotten, WriteError> {
        if forget.is_nothing() {
            return Ok(Forgotten::default());
        }
        let forgotten = delete(&mut self.connection, forget).map_err(|error| WriteError::new(&self.path, error))?;
        self.keep_acks();
        let traces = |source| WriteError::Traces { path: self.path.clone(), source };
        let damaged_files =
            self.forget_damaged().map_err(|error| traces(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
        self.wipe().map_err(traces)?;
        Ok(Forgotten { damaged_files, ..forgotten })
    }

    /// Forgets one after the other. Whatever fails, the others are tried.
    ///
    /// # Errors
    /// The first of theirs.
    pub fn forget_all(&mut self, all: &[Forget]) -> Result<Forgotten, WriteError> {
        let outcomes: Vec<_> = all.iter().map(|forget| self.forget(forget)).collect();
        outcomes.into_iter().try_fold(Forgotten::default(), |sum, one| Ok(sum.and(one?)))
    }

    /// Whether there is anything of a device that is known as `id`.
    pub fn knows_device(&self, id: &str) -> Result<bool, WriteError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM contacts WHERE device = ?1)
                               OR EXISTS (SELECT 1 FROM probes WHERE device = ?1)";
        let known = self.connection.query_row(SQL, [id], |row| row.get(0));
        known.map_err(|error| WriteError::new(&self.path, error))
    }

    /// What is deleted is overwritten where it lay; but not what the first version deleted, nor what
    /// the log holds. So everything is written anew, and the log cut to nothing.
    fn wipe(&self) -> rusqlite::Result<()> {
        // The temporary file of that belongs beside the database, not into a /tmp of another disk.
        if let Some(dir) = self.path.parent().and_then(|dir| dir.to_str()) {
            self.connection.pragma_update(None, "temp_store_directory", dir)?;
        }
        self.connection.execute_batch("VACUUM")?;
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        if busy == 0 {
            Ok(())
        } else {
            Err(rusqlite::Error::SqliteFailure(code, Some("an export is reading it".into())))
        }
    }
}

fn delete(connection: &mut Connection, forget: &Forget) -> rusqlite::Result<Forgotten> {
    let transaction = connection.transaction()?;
    let forgotten = within(&transaction, forget)?;
    transaction.commit()?;
    Ok(forgotten)
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
