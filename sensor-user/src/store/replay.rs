//! Reads rows as observations, in order of time.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};
use sensor_common::{Kind, Proto};
use tattler_core::observation::{Answer, Contact, Observation, Probe, Traits};
use tattler_core::time::Time;
use thiserror::Error;

use super::{Store, is_damage};

/// Reason for an incomplete read of the store.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The database is damaged. The observations that were read before the error are valid; the rest is lost.
    #[error("{} is damaged ({source}); `tattler run` sets it aside and creates a new one, or move it out of the way yourself", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// Any other error, such as a failing disk.
    #[error("cannot read {}: {source}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
}

impl Store {
    /// Yields all observations at `since` or later, in order of [`Observation::ts`]. Contacts are merged, and keep
    /// their start time even if the start is before `since`. For equal times, contacts come before probes and probes
    /// before answers, because a cause comes before its effect.
    pub fn replay(&self, since: Time, give: &mut dyn FnMut(Observation)) -> Result<(), ReplayError> {
        read(&self.connection, since, give).map_err(|error| ReplayError::new(&self.path, error))
    }
}

impl ReplayError {
    /// Whether SQLite found damage. Rows that can't be decoded do not count, because SQLite accepts such rows.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, ReplayError::Damaged { source, .. } if is_damage(source))
    }

    pub(super) fn new(path: &Path, source: rusqlite::Error) -> ReplayError {
        let path = path.to_owned();
        let is_undecodable = source.sqlite_error_code().is_none();
        if is_undecodable || is_damage(&source) {
            ReplayError::Damaged { path, source }
        } else {
            ReplayError::Failed { path, source }
        }
    }
}

/// Like [`Store::replay`], with any connection.
pub(super) fn read(connection: &Connection, since: Time, give: &mut dyn FnMut(Observation)) -> rusqlite::Result<()> {
    // The decoders below use column numbers, because column names would be looked up for each row.
    let mut contacts = connection.prepare(
        "SELECT first, last, local, remote, proto, port, local_port, count, name, device
         FROM contacts WHERE last >= ?1 ORDER BY first, local, remote, proto, port",
    )?;
    let mut probes = connection.prepare(
        "SELECT ts, source, target, kind, port, count, hop_limit, source_port, icmp_id, icmp_seq, payload_len,
                payload_hash, window, tcp_options, tcp_flags, flow_label, contacted_source, answered, settling, device
         FROM probes WHERE ts >= ?1 ORDER BY ts, source, target, kind, port",
    )?;
    let mut answers = connection.prepare(
        "SELECT ts, source, target, kind, port FROM answers WHERE ts >= ?1 ORDER BY ts, source, target, kind, port",
    )?;

    let mut contacts = contacts.query_map([since.0], |row| contact(row).map(Observation::Contact))?;
    let mut probes = probes.query_map([since.0], |row| probe(row).map(Observation::Probe))?;
    let mut answers = answers.query_map([since.0], |row| answer(row).map(Observation::Answer))?;
    let mut streams: [&mut dyn Iterator<Item = rusqlite::Result<Observation>>; 3] =
        [&mut contacts, &mut probes, &mut answers];
    let mut heads = [const { None }; 3];
    for (head, stream) in heads.iter_mut().zip(&mut streams) {
        *head = stream.next().transpose()?;
    }
    // For equal times, `min_by_key` returns the first element.
    let earliest = |heads: &[Option<Observation>]| {
        let known = heads.iter().enumerate().filter_map(|(i, head)| Some((i, head.as_ref()?.ts())));
        known.min_by_key(|&(_, ts)| ts).map(|(i, _)| i)
    };
    while let Some(i) = earliest(&heads) {
        let next = streams[i].next().transpose()?;
        if let Some(observation) = std::mem::replace(&mut heads[i], next) {
            give(observation);
        }
    }
    Ok(())
}

pub(super) fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        ts: Time(row.get(0)?),
        last: Time(row.get(1)?),
        local: address(row, 2)?,
        remote: address(row, 3)?,
        proto: value(row, 4, Proto::from_number)?,
        port: row.get(5)?,
        local_port: row.get(6)?,
        count: row.get::<_, i64>(7)?.clamp(0, u32::MAX.into()) as u32,
        name: row.get(8)?,
        device: row.get(9)?,
    })
}

pub(super) fn probe(row: &Row<'_>) -> rusqlite::Result<Probe> {
    Ok(Probe {
        ts: Time(row.get(0)?),
        source: address(row, 1)?,
        target: address(row, 2)?,
        kind: value(row, 3, Kind::from_number)?,
        port: row.get(4)?,
        count: row.get(5)?,
        traits: Traits {
            hop_limit: row.get(6)?,
            source_port: row.get(7)?,
            icmp_id: row.get(8)?,
            icmp_seq: row.get(9)?,
            payload_len: row.get(10)?,
            payload_hash: row.get(11)?,
            window: row.get(12)?,
            tcp_options: row.get(13)?,
            tcp_flags: row.get(14)?,
            flow_label: row.get(15)?,
        },
        contacted_source: row.get(16)?,
        answered: row.get(17)?,
        settling: row.get(18)?,
        device: row.get(19)?,
    })
}

pub(super) fn answer(row: &Row<'_>) -> rusqlite::Result<Answer> {
    Ok(Answer {
        ts: Time(row.get(0)?),
        source: address(row, 1)?,
        target: address(row, 2)?,
        kind: value(row, 3, Kind::from_number)?,
        port: row.get(4)?,
    })
}

pub(super) fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<Ipv6Addr> {
    Ok(Ipv6Addr::from(row.get::<_, [u8; 16]>(column)?))
}

fn value<T>(row: &Row<'_>, column: usize, decode: fn(u8) -> Option<T>) -> rusqlite::Result<T> {
    let number: u8 = row.get(column)?;
    decode(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number.into()))
}
