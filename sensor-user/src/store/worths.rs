//! The worth of rows of probes and answers, by the contacts of their targets in the database. On a day with many rows,
//! the worth of a row decides whether the row is written. When the database is too large, rows of least worth are
//! deleted first.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use rusqlite::{Connection, OptionalExtension};
use sensor_common::{IidClass, Kind};
use tattler_core::ledger::LedgerSettings;
use tattler_core::ledger::worth::{CurrentDay, Ranking, Target, Worth};
use tattler_core::observation::Observation;
use tattler_core::time::Time;

/// Maximum number of targets whose contacts are cached, so that a flood of probes to one target costs one look-up.
const MOST_REMEMBERED: usize = 65_536;

/// Ranks rows in order of time.
#[derive(Default)]
pub(super) struct Worths {
    probes: Ranking,
    answers: Ranking,
    /// The times of the first and the last contact of targets in use.
    used: HashMap<Ipv6Addr, (Time, Time)>,
}

impl Worths {
    /// Ranks a probe. `proves`: whether the flags of the probe allow the rank of evidence.
    pub(super) fn probe(
        &mut self,
        connection: &Connection,
        (at, source, target, kind): (Time, Ipv6Addr, Ipv6Addr, Kind),
        proves: bool,
    ) -> rusqlite::Result<Worth> {
        let proves = proves && IidClass::of(&target.octets()) == IidClass::Random;
        let class = Target::of(self.used(connection, target)?, at, LedgerSettings::default().validity, proves);
        Ok(self.probes.rank(at, source, target, kind, class))
    }

    /// Ranks an answer. A host that answers exists, whether or not the database has contacts of the host.
    pub(super) fn answer(&mut self, (at, source, target, kind): (Time, Ipv6Addr, Ipv6Addr, Kind)) -> Worth {
        self.answers.rank(at, source, target, kind, Target::Unguessable)
    }

    /// Clears the cached contacts of targets, because contacts may have been added or deleted.
    pub(super) fn look_again(&mut self) {
        self.used.clear();
    }

    fn used(&mut self, connection: &Connection, local: Ipv6Addr) -> rusqlite::Result<Option<(Time, Time)>> {
        if let Some(&used) = self.used.get(&local) {
            return Ok(Some(used));
        }
        let mut statement = connection.prepare_cached(
            "SELECT min(first), max(last) FROM contacts WHERE local = ?1 HAVING min(first) IS NOT NULL",
        )?;
        let used =
            statement.query_row([local.octets()], |row| Ok((Time(row.get(0)?), Time(row.get(1)?)))).optional()?;
        // A sweep probes each address once, so unused targets are not cached.
        if let Some(used) = used.filter(|_| self.used.len() < MOST_REMEMBERED) {
            self.used.insert(local, used);
        }
        Ok(used)
    }
}

/// The daily limit for rows that prove nothing.
pub(super) struct Cap {
    most: u64,
    worths: Worths,
    day: CurrentDay,
    /// Number of today's rows that count towards the limit.
    written: u64,
    /// Number of rows since the start that were not written because of the limit.
    pub(super) left_out: u64,
}

impl Cap {
    pub(super) fn new(most: u64) -> Cap {
        Cap { most, worths: Worths::default(), day: CurrentDay::default(), written: 0, left_out: 0 }
    }

    /// Whether to write an observation. Contacts and evidence are always written. The first half of the limit is
    /// written without a look-up, because most days stay below half of the limit. The second half is not used for
    /// probes of sweeps.
    pub(super) fn takes(&mut self, connection: &Connection, observation: &Observation) -> rusqlite::Result<bool> {
        if matches!(observation, Observation::Contact(_)) {
            return Ok(true);
        }
        if self.day.begins(observation.ts()) {
            self.written = 0;
        }
        if self.written < self.most / 2 {
            self.written += 1;
            return Ok(true);
        }
        let takes = match self.worth(connection, observation)? {
            Worth::Sweep => false,
            Worth::Repeat => self.written < self.most,
            Worth::Evidence => return Ok(true),
        };
        self.written += u64::from(takes);
        self.left_out += u64::from(!takes);
        Ok(takes)
    }

    fn worth(&mut self, connection: &Connection, observation: &Observation) -> rusqlite::Result<Worth> {
        match observation {
            Observation::Contact(_) => Ok(Worth::Evidence),
            Observation::Probe(probe) => {
                let proves = !probe.contacted_source && !probe.settling;
                self.worths.probe(connection, (probe.ts, probe.source, probe.target, probe.kind), proves)
            }
            Observation::Answer(answer) => {
                Ok(self.worths.answer((answer.ts, answer.source, answer.target, answer.kind)))
            }
        }
    }

    /// The caller must call this at the start of a transaction. Returns the argument for [`Cap::undo`].
    pub(super) fn begin(&mut self) -> u64 {
        self.worths.look_again();
        self.left_out
    }

    /// The caller must call this after a failed transaction. The evidence of the transaction then counts as not seen.
    pub(super) fn undo(&mut self, left_out: u64) {
        self.worths = Worths::default();
        self.left_out = left_out;
    }
}
