//! Reads while a sensor writes: queries and exports use a separate, read-only connection.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};
use tattler_core::ack::Ack;
use tattler_core::observation::{Answer, Contact, Observation, Probe};
use tattler_core::time::{Span, Time};
use tattler_files::jsonl::{BackupEntry, to_json_line};
use thiserror::Error;

use super::replay::{self, ReplayError};
use super::{DeviceKey, OpenError, Store, acks, key, open, schema};

/// Maximum wait for a checkpoint or a schema change by another process.
const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum number of answers that are kept in memory to mark probes. Each answer is a packet of a local, so outsiders
/// alone do not control the number.
const MAX_ANSWERS: usize = 1_000_000;
/// The time after the end of the queried range in which answers to probes of the range are searched. Hosts answer
/// within seconds.
const ANSWERED_WITHIN: Span = Span::from_seconds(600);

/// Read-only access to the database of a state directory. The reader sees the state at the time when it was opened.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// Totals of the rows in a time range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTotals {
    /// Number of different locals with a contact.
    pub locals: u64,
    /// Number of contacts: different combinations of local, remote, protocol and port.
    pub contacts: u64,
    /// Number of probes, including repeats.
    pub probes: u64,
    /// The first and the last time of all contacts and probes.
    pub span: Option<(Time, Time)>,
}

/// The settings of an export.
#[derive(Clone, Copy, Debug, Default)]
pub struct Export {
    /// Whether to export also the answers, the acknowledgements and the key of the device names, so that the store can
    /// be restored.
    pub all: bool,
    /// The export leaves out observations that ended before this time.
    pub since: Option<Time>,
    /// The export leaves out observations that began after this time.
    pub until: Option<Time>,
}

/// Reason for an incomplete export.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The database can't be read to its end.
    #[error(transparent)]
    Read(#[from] ReplayError),
    /// The lines can't be written.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
}

impl Reader {
    /// Opens the database in `dir`. Only the owner of the directory and root can open the database. A database of an
    /// older version is migrated first, which requires that no sensor uses the database.
    pub fn open(dir: &Path) -> Result<Reader, OpenError> {
        let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
        let dir = &dir.canonicalize().map_err(directory)?;
        let path = dir.join("tattler.db");
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Nothing(dir.clone())),
            found => _ = found.map_err(directory)?,
        }
        let failed = |source| OpenError::new(&path, source);
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        let mut found = schema::version(&connection).map_err(failed)?;
        if found < schema::VERSION {
            drop(connection);
            drop(Store::open(dir)?);
            connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
            found = schema::version(&connection).map_err(failed)?;
        }
        if found > schema::VERSION {
            return Err(OpenError::Newer { path, found });
        }
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        // Queries look up the contacts of the locals one local at a time.
        connection.pragma_update(None, "cache_size", -(16 << 10)).map_err(failed)?;
        // The transaction lets all reads see the same state of the database.
        connection.execute_batch("BEGIN; SELECT 1 FROM meta LIMIT 1").map_err(failed)?;
        Ok(Reader { connection, path })
    }

    /// The key of the device names. `None` if the store has no key yet.
    pub fn device_key(&self) -> Result<Option<DeviceKey>, ReplayError> {
        self.checked(key::read(&self.connection))
    }

    /// The acknowledged remotes.
    pub fn acks(&self) -> Result<Vec<Ack>, ReplayError> {
        self.checked(acks::read(&self.connection))
    }

    /// Number of bytes on disk, including the write-ahead log.
    #[must_use]
    pub fn size(&self) -> u64 {
        open::size(&self.path)
    }

    /// Yields the contacts that overlap the time between `since` and `until`. The contacts are not sorted by time.
    pub fn contacts(
        &self,
        since: Time,
        until: Time,
        give: &mut dyn FnMut(Contact) -> ControlFlow<()>,
    ) -> Result<(), ReplayError> {
        const SQL: &str = "SELECT first, last, local, remote, proto, port, local_port, count, name, device
             FROM contacts WHERE last >= ?1 AND first <= ?2";
        self.each(SQL, since, until, replay::contact, give)
    }

    /// Yields the probes between `since` and `until`, the latest first. Marks probes that were answered in that time or
    /// soon after, and probes whose source the target had contacted. The marks depend on the answers and contacts that
    /// are still in the database.
    pub fn probes(
        &self,
        since: Time,
        until: Time,
        give: &mut dyn FnMut(Probe) -> ControlFlow<()>,
    ) -> Result<(), ReplayError> {
        const SQL: &str = "SELECT ts, source, target, kind, port, count, hop_limit, source_port, icmp_id, icmp_seq,
                payload_len, payload_hash, window, tcp_options, tcp_flags, flow_label,
                contacted_source OR EXISTS (SELECT 1 FROM contacts
                    WHERE local = target AND remote = source AND first <= ts),
                answered, settling, device
             FROM probes WHERE ts BETWEEN ?1 AND ?2 ORDER BY ts DESC, source DESC, target DESC, kind DESC, port DESC";
        let mut answered = HashSet::new();
        self.answers(since, until + ANSWERED_WITHIN, &mut |answer| {
            answered.insert((answer.source, answer.target, answer.kind, answer.port));
        })?;
        self.each(SQL, since, until, replay::probe, &mut |mut probe| {
            probe.answered |= answered.contains(&(probe.source, probe.target, probe.kind, probe.port));
            give(probe)
        })
    }

    /// The locals that answered a probe at any time.
    pub fn exposed(&self) -> Result<HashSet<Ipv6Addr>, ReplayError> {
        let mut exposed = HashSet::new();
        self.answers(Time(i64::MIN), Time(i64::MAX), &mut |answer| {
            exposed.insert(answer.target);
        })?;
        let mut read = || {
            let mut probes = self.connection.prepare("SELECT DISTINCT target FROM probes WHERE answered LIMIT ?1")?;
            let mut rows = probes.query([MAX_ANSWERS as i64])?;
            while let Some(row) = rows.next()? {
                exposed.insert(replay::address(row, 0)?);
            }
            Ok(())
        };
        self.checked(read())?;
        Ok(exposed)
    }

    /// Yields all observations between `since` and `until` in order of time, as a ledger needs them. Contacts that
    /// continued after `until` are cut to end at `until`.
    pub fn replay(&self, since: Time, until: Time, give: &mut dyn FnMut(Observation)) -> Result<(), ReplayError> {
        self.checked(replay::read(&self.connection, since, &mut |mut observation| {
            if observation.ts() > until {
                return;
            }
            if let Observation::Contact(contact) = &mut observation {
                contact.last = contact.last.min(until);
            }
            give(observation);
        }))
    }

    /// Counts the rows between `since` and `until`.
    pub fn totals(&self, since: Time, until: Time) -> Result<StoreTotals, ReplayError> {
        type Counted = (u64, u64, Option<i64>, Option<i64>);
        let count = |sql: &str| -> rusqlite::Result<Counted> {
            let number = |row: &Row<'_>, column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.max(0) as u64);
            let get = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?, row.get(2)?, row.get(3)?));
            self.connection.query_row(sql, [since.0, until.0], get)
        };
        let read = || {
            let contacts = count(
                "SELECT count(DISTINCT local), count(*), min(first), max(last)
                 FROM contacts WHERE last >= ?1 AND first <= ?2",
            )?;
            let probes =
                count("SELECT 0, ifnull(sum(count), 0), min(ts), max(ts) FROM probes WHERE ts BETWEEN ?1 AND ?2")?;
            let first = [contacts.2, probes.2].into_iter().flatten().min();
            let last = [contacts.3, probes.3].into_iter().flatten().max();
            let span = first.zip(last).map(|(first, last)| (Time(first), Time(last)));
            Ok(StoreTotals { locals: contacts.0, contacts: contacts.1, probes: probes.1, span })
        };
        self.checked(read())
    }

    /// Writes observations as JSON Lines, sorted by time. Observations of the same time are always in the same order.
    /// Returns the number of lines. A sensor can write during the export; the write-ahead log grows until the export
    /// ends.
    pub fn export(&self, export: &Export, out: &mut dyn Write) -> Result<u64, ExportError> {
        let mut lines = 0;
        let mut written = Ok(());
        let mut put = |line: Option<String>| {
            if let (Some(line), Ok(())) = (line, &written) {
                written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
                lines += 1;
            }
        };
        if export.all {
            put(self.device_key()?.and_then(|key| BackupEntry::DeviceKey(*key.bytes()).to_json_line()));
            self.acks()?.into_iter().for_each(|ack| put(BackupEntry::Ack(ack).to_json_line()));
        }
        let until = export.until.unwrap_or(Time(i64::MAX));
        let read = replay::read(&self.connection, export.since.unwrap_or(Time(i64::MIN)), &mut |observation| {
            let is_exported = export.all || !matches!(observation, Observation::Answer(_));
            if is_exported && observation.ts() <= until {
                put(to_json_line(&observation));
            }
        });
        self.checked(read)?;
        written.and_then(|()| out.flush()).map_err(ExportError::Write)?;
        Ok(lines)
    }

    fn answers(&self, since: Time, until: Time, give: &mut dyn FnMut(Answer)) -> Result<(), ReplayError> {
        const SQL: &str =
            "SELECT ts, source, target, kind, port FROM answers WHERE ts BETWEEN ?1 AND ?2 ORDER BY ts DESC";
        let mut left = MAX_ANSWERS;
        self.each(SQL, since, until, replay::answer, &mut |answer| {
            give(answer);
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn each<T>(
        &self,
        sql: &str,
        since: Time,
        until: Time,
        decode: fn(&Row<'_>) -> rusqlite::Result<T>,
        give: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), ReplayError> {
        let mut read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([since.0, until.0])?;
            while let Some(row) = rows.next()? {
                if give(decode(row)?).is_break() {
                    break;
                }
            }
            Ok(())
        };
        self.checked(read())
    }

    fn checked<T>(&self, read: rusqlite::Result<T>) -> Result<T, ReplayError> {
        read.map_err(|source| ReplayError::new(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{connection, new_store, probe_at};
    use super::*;

    fn probes(reader: &Reader, since: Time, until: Time) -> Vec<Probe> {
        let mut all = Vec::new();
        let mut give = |probe| {
            all.push(probe);
            ControlFlow::Continue(())
        };
        reader.probes(since, until, &mut give).unwrap();
        all
    }

    #[test]
    fn a_reader_works_while_the_sensor_runs_and_afterwards() {
        let (dir, mut store) = new_store();
        let read = || -> Vec<i64> {
            let all = probes(&Reader::open(dir.path()).unwrap(), Time(i64::MIN), Time(i64::MAX));
            all.iter().map(|probe| probe.ts.0).collect()
        };
        store.append(&[probe_at(1), probe_at(2)]).unwrap();
        assert_eq!(read(), [2, 1]);
        store.append(&[probe_at(3)]).unwrap();
        assert_eq!(read(), [3, 2, 1]);
        drop(store);
        assert_eq!(read(), [3, 2, 1]);
    }

    #[test]
    fn only_answers_of_the_window_mark_its_probes() {
        let (dir, mut store) = new_store();
        let at = |seconds: i64| seconds * 1_000_000;
        let Observation::Probe(probe) = probe_at(at(10_000)) else { unreachable!() };
        let Probe { source, target, kind, port, .. } = probe;
        let mut marked = |ts: i64| {
            let answer = Answer { ts: Time(at(ts)), source, target, kind, port };
            store.connection.execute("DELETE FROM answers", []).unwrap();
            store.append(&[probe_at(at(10_000)), Observation::Answer(answer)]).unwrap();
            probes(&Reader::open(dir.path()).unwrap(), Time(at(9_000)), Time(at(10_000)))[0].answered
        };
        assert_eq!([8_999, 10_002, 10_700].map(&mut marked), [false, true, false]);
    }

    #[test]
    fn a_reader_sees_one_moment_and_cannot_write() {
        let (dir, mut store) = new_store();
        store.append(&[probe_at(1)]).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let all = |reader: &Reader| reader.totals(Time(i64::MIN), Time(i64::MAX)).unwrap().probes;
        assert_eq!(all(&reader), 1);
        store.append(&[probe_at(2)]).unwrap();
        assert_eq!(all(&reader), 1);
        assert!(reader.connection.execute("DELETE FROM probes", []).is_err());
    }

    #[test]
    fn an_error_to_open_names_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let error = |dir: &Path| Reader::open(dir).err().unwrap().to_string();
        assert!(error(dir.path()).contains("there is no database in"), "{}", error(dir.path()));
        assert!(error(&dir.path().join("none")).contains("no such file or directory"));
        drop(Store::open(dir.path()).unwrap());
        connection(dir.path()).pragma_update(None, "user_version", 99).unwrap();
        assert!(error(dir.path()).contains("upgrade tattler"), "{}", error(dir.path()));
        fs::write(dir.path().join("tattler.db"), b"not a database, but long enough to look at it".repeat(100)).unwrap();
        assert!(error(dir.path()).contains("is damaged"), "{}", error(dir.path()));
    }
}
