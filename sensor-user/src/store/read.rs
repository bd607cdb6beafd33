//! Reading for queries: a connection of its own that can't write, beside a sensor that does.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Row};
use tattler_core::ack::Ack;
use tattler_core::observation::{Answer, Contact, Observation, Probe};
use tattler_core::time::{Span, Time};

use super::replay::{self, ReplayError};
use super::{DeviceKey, OpenError, Snapshot, acks, key, open};

/// A checkpoint that ends or a schema that changes takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers that are remembered to mark probes. They need a probe and a local that answers, so that
/// outsiders alone don't decide how many there are.
const MAX_ANSWERS: usize = 1_000_000;

/// How long after a probe its answer is looked for. Hosts answer within seconds.
const ANSWERED_WITHIN: Span = Span::from_seconds(600);

/// A state directory, read only. Everything that it hands out is of one moment, that of its opening.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Different locals with a contact.
    pub locals: u64,
    /// Contacts: local, remote, protocol and port.
    pub contacts: u64,
    /// Probes, repeats included.
    pub probes: u64,
    /// The first and the last time of anything.
    pub span: Option<(Time, Time)>,
}

impl Reader {
    /// Opens what a sensor keeps in `dir`.
    pub fn open(dir: &Path) -> Result<Reader, OpenError> {
        let Snapshot { connection, path } = Snapshot::open(dir)?;
        let failed = |source| OpenError::Failed { path: path.clone(), source };
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        // Many look-ups go to the contacts of one local after the other.
        connection.pragma_update(None, "cache_size", -(16 << 10)).map_err(failed)?;
        // One moment for all that is read.
        connection.execute_batch("BEGIN; SELECT 1 FROM meta LIMIT 1").map_err(failed)?;
        Ok(Reader { connection, path })
    }

    /// The key by which hardware addresses became names, if there is one.
    pub fn device_key(&self) -> Result<Option<DeviceKey>, ReplayError> {
        self.told(key::read(&self.connection))
    }

    /// The acknowledged remotes.
    pub fn acks(&self) -> Result<Vec<Ack>, ReplayError> {
        self.told(acks::read(&self.connection))
    }

    /// Bytes on disk, the write-ahead log included.
    #[must_use]
    pub fn size(&self) -> u64 {
        open::size(&self.path)
    }

    /// Hands out contacts that were going on between `since` and `until`, in no order of time.
    pub fn contacts(
        &self,
        since: Time,
        until: Time,
        give: &mut dyn FnMut(Contact) -> ControlFlow<()>,
    ) -> Result<(), ReplayError> {
        const SQL: &str = "SELECT first, last, local, remote, proto, port, local_port, count, name, device
             FROM contacts WHERE last >= ?1 AND first <= ?2";
        self.each(SQL, since, until, replay::contact, &mut |observation| match observation {
            Observation::Contact(contact) => give(contact),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Hands out probes between `since` and `until`, the latest first. Marks those that were answered in
    /// that time or soon after, or whose source the target had contacted, as far as that is still known.
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
        self.each(SQL, since, until, replay::probe, &mut |observation| match observation {
            Observation::Probe(mut probe) => {
                probe.answered |= answered.contains(&(probe.source, probe.target, probe.kind, probe.port));
                give(probe)
            }
            _ => ControlFlow::Continue(()),
        })
    }

    /// The locals that ever answered a probe.
    pub fn exposed(&self) -> Result<HashSet<Ipv6Addr>, ReplayError> {
        let mut exposed = HashSet::new();
        self.answers(Time(i64::MIN), Time(i64::MAX), &mut |answer| {
            exposed.insert(answer.target);
        })?;
        let mut read = || {
            let mut probes = self.connection.prepare("SELECT DISTINCT target FROM probes WHERE answered LIMIT ?1")?;
            let mut rows = probes.query([MAX_ANSWERS as i64])?;
            while let Some(row) = rows.next()? {
                exposed.insert(Ipv6Addr::from(row.get::<_, [u8; 16]>(0)?));
            }
            Ok(())
        };
        self.told(read())?;
        Ok(exposed)
    }

    /// All between `since` and `until` in order of time, as a ledger wants it. Contacts that went on
    /// later end at `until`.
    pub fn replay(&self, since: Time, until: Time, give: &mut dyn FnMut(Observation)) -> Result<(), ReplayError> {
        self.told(replay::read(&self.connection, since, &mut |mut observation| {
            if observation.ts() > until {
                return;
            }
            if let Observation::Contact(contact) = &mut observation {
                contact.last = contact.last.min(until);
            }
            give(observation);
        }))
    }

    /// How much there is between `since` and `until`.
    pub fn summary(&self, since: Time, until: Time) -> Result<Summary, ReplayError> {
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
            Ok(Summary { locals: contacts.0, contacts: contacts.1, probes: probes.1, span })
        };
        self.told(read())
    }

    fn answers(&self, since: Time, until: Time, give: &mut dyn FnMut(Answer)) -> Result<(), ReplayError> {
        const SQL: &str =
            "SELECT ts, source, target, kind, port FROM answers WHERE ts BETWEEN ?1 AND ?2 ORDER BY ts DESC";
        let mut left = MAX_ANSWERS;
        self.each(SQL, since, until, replay::answer, &mut |observation| {
            if let Observation::Answer(answer) = observation {
                give(answer);
            }
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn each(
        &self,
        sql: &str,
        since: Time,
        until: Time,
        decode: fn(&Row<'_>) -> rusqlite::Result<Observation>,
        give: &mut dyn FnMut(Observation) -> ControlFlow<()>,
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
        self.told(read())
    }

    fn told<T>(&self, read: rusqlite::Result<T>) -> Result<T, ReplayError> {
        read.map_err(|source| ReplayError::new(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Store;
    use super::super::tests::{connection, probe_at};
    use super::*;

    #[test]
    fn a_reader_reads_beside_the_sensor_and_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.append(&[probe_at(1), probe_at(2)]).unwrap();
        let read = || {
            let mut seen = Vec::new();
            let reader = Reader::open(dir.path()).unwrap();
            let all = (Time(i64::MIN), Time(i64::MAX));
            reader
                .probes(all.0, all.1, &mut |probe| {
                    seen.push(probe.ts.0);
                    ControlFlow::Continue(())
                })
                .unwrap();
            seen
        };
        assert_eq!(read(), [2, 1]);
        store.append(&[probe_at(3)]).unwrap();
        assert_eq!(read(), [3, 2, 1]);
        drop(store);
        assert_eq!(read(), [3, 2, 1]);
    }

    #[test]
    fn answers_are_read_for_the_window_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let at = |seconds: i64| seconds * 1_000_000;
        let Observation::Probe(probe) = probe_at(at(10_000)) else { unreachable!() };
        let Probe { source, target, kind, port, .. } = probe;
        let marked = |store: &mut Store, ts: i64| {
            let answer = Answer { ts: Time(at(ts)), source, target, kind, port };
            store.connection.execute("DELETE FROM answers", []).unwrap();
            store.append(&[probe_at(at(10_000)), Observation::Answer(answer)]).unwrap();
            let mut answered = None;
            let mut give = |probe: Probe| {
                answered = Some(probe.answered);
                ControlFlow::Continue(())
            };
            let reader = Reader::open(dir.path()).unwrap();
            reader.probes(Time(at(9_000)), Time(at(10_000)), &mut give).unwrap();
            answered.unwrap()
        };
        assert_eq!([8_999, 10_002, 10_700].map(|ts| marked(&mut store, ts)), [false, true, false]);
    }

    #[test]
    fn a_reader_sees_one_moment_and_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.append(&[probe_at(1)]).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let all = |reader: &Reader| reader.summary(Time(i64::MIN), Time(i64::MAX)).unwrap().probes;
        assert_eq!(all(&reader), 1);
        store.append(&[probe_at(2)]).unwrap();
        assert_eq!(all(&reader), 1);
        assert!(reader.connection.execute("DELETE FROM probes", []).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_told_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let told = |dir: &Path| Reader::open(dir).err().unwrap().to_string();
        assert!(told(dir.path()).contains("there is no database in"), "{}", told(dir.path()));
        assert!(told(&dir.path().join("none")).contains("no such file or directory"));
        drop(Store::open(dir.path()).unwrap());
        connection(dir.path()).pragma_update(None, "user_version", 99).unwrap();
        assert!(told(dir.path()).contains("upgrade tattler"), "{}", told(dir.path()));
        fs::write(dir.path().join("tattler.db"), b"not a database, but long enough to look at it".repeat(100)).unwrap();
        assert!(told(dir.path()).contains("is damaged"), "{}", told(dir.path()));
    }
}
