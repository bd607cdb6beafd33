//! The worth of rows of probes and answers, by the contacts of their targets in the database. It decides which rows are
//! still written when there are many, and which are deleted first when there are too many.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use rusqlite::{Connection, OptionalExtension};
use sensor_common::{IidClass, Kind};
use tattler_core::ledger::LedgerSettings;
use tattler_core::ledger::worth::{CurrentDay, Ranking, Target, Worth};
use tattler_core::observation::Observation;
use tattler_core::time::Time;

/// Targets whose contacts are remembered, so that a flood of probes to one of them costs one look-up.
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
    /// Ranks a probe. `proves`: it could be evidence by its own flags.
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

    /// Ranks an answer. A host that answers exists, with contacts or without.
    pub(super) fn answer(&mut self, (at, source, target, kind): (Time, Ipv6Addr, Ipv6Addr, Kind)) -> Worth {
        self.answers.rank(at, source, target, kind, Target::Unguessable)
    }

    /// Forgets what it knows of targets: contacts may have been added or deleted.
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
        // A sweep probes each address once, so unused targets are not remembered.
        if let Some(used) = used.filter(|_| self.used.len() < MOST_REMEMBERED) {
            self.used.insert(local, used);
        }
        Ok(used)
    }
}

/// Limits the rows of a day that prove nothing.
pub(super) struct Cap {
    most: u64,
    worths: Worths,
    day: CurrentDay,
    /// Rows of today that count towards the limit.
    written: u64,
    /// Rows not written since the start.
    pub(super) left_out: u64,
}

impl Cap {
    pub(super) fn new(most: u64) -> Cap {
        Cap { most, worths: Worths::default(), day: CurrentDay::default(), written: 0, left_out: 0 }
    }

    /// Whether to write an observation. Contacts and evidence are always written. The first half of the limit is
    /// written without a look-up, because most days stay below it. The second half is not for sweeps.
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

    /// To be called at the begin of a transaction. Returns the argument for [`Cap::undo`].
    pub(super) fn begin(&mut self) -> u64 {
        self.worths.look_again();
        self.left_out
    }

    /// To be called if the transaction failed: its evidence counts as not seen.
    pub(super) fn undo(&mut self, left_out: u64) {
        self.worths = Worths::default();
        self.left_out = left_out;
    }
}
