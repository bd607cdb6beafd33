//! Imports observations from files, in chunks that are committed with the position reached in the files. Observations
//! that are in the store already are merged with their rows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::Ipv6Addr;
use std::path::Path;

use rusqlite::{Connection, Transaction};
use sensor_common::{Kind, Proto};
use tattler_core::ack::Ack;
use tattler_core::exclusions::Exclusions;
use tattler_core::observation::{Contact, Observation, Probe};
use tattler_core::time::{Span, Time};
use tattler_files::Position;

use super::append::{self, Provenance};
use super::{DeviceKey, Store, WriteError, acks, key, positions};

/// Observations that are sorted before they are written: some 20 MB.
const BATCH: usize = 50_000;
/// Observations after which an import is committed: some seconds of work.
const CHUNK: u64 = 200_000;
/// Clocks may differ by this. Later observations are mistakes, which retention would never delete.
const FUTURE: Span = Span::from_days(1);

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportSettings {
    /// The wall clock.
    pub now: Time,
    /// Older observations are left out.
    pub retention: Span,
    /// Excluded observations are left out.
    pub exclusions: Exclusions,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// All observations in the files.
    pub observations: u64,
    /// New rows.
    pub new: u64,
    /// Observations merged into existing rows, or into one row with others.
    pub merged: u64,
    /// Left out: older than the retention.
    pub old: u64,
    /// Left out: in the future.
    pub future: u64,
    /// Left out: excluded by the configuration.
    pub excluded: u64,
    /// Acknowledgements.
    pub acks: u64,
}

/// A running import. After an error, or if the process is killed, the observations after the last position that was
/// committed by [`Importer::reached`] are not imported.
pub struct Importer<'s> {
    connection: &'s Connection,
    /// `None` after a failure.
    transaction: Option<Transaction<'s>>,
    path: &'s Path,
    settings: ImportSettings,
    batch: Batch,
    counts: Imported,
    rows_before: u64,
    /// Whether rows had device names before the import.
    names_devices: bool,
    failure: Option<rusqlite::Error>,
    /// Committed observations.
    kept: u64,
}

impl Store {
    /// Begins an import.
    pub fn import(&mut self, settings: ImportSettings) -> Result<Importer<'_>, WriteError> {
        let begin = || -> rusqlite::Result<Importer<'_>> {
            // `unchecked` is sound here: this is the only transaction on this connection.
            let transaction = self.connection.unchecked_transaction()?;
            Ok(Importer {
                rows_before: rows(&transaction)?,
                names_devices: names_devices(&transaction)?,
                connection: &self.connection,
                transaction: Some(transaction),
                path: &self.path,
                settings,
                batch: Batch::default(),
                counts: Imported::default(),
                failure: None,
                kept: 0,
            })
        };
        begin().map_err(|error| WriteError::new(&self.path, error))
    }
}

impl Importer<'_> {
    /// Adds an observation. [`Importer::has_failed`] and [`Importer::finish`] report a failure to write.
    pub fn add(&mut self, observation: Observation) {
        self.counts.observations += 1;
        let last = match &observation {
            Observation::Contact(contact) => contact.last,
            other => other.ts(),
        };
        let ImportSettings { now, retention, ref exclusions } = self.settings;
        if last < now - retention {
            self.counts.old += 1;
        } else if last > now + FUTURE {
            self.counts.future += 1;
        } else if exclusions.excludes(&observation) {
            self.counts.excluded += 1;
        } else {
            self.batch.add(observation);
            if self.batch.taken >= BATCH {
                self.write();
            }
        }
    }

    /// Whether enough was added for a commit.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.counts.observations - self.kept >= CHUNK
    }

    /// To be called when everything up to these positions was added. If a commit [is due](Importer::is_due), commits it
    /// together with the positions. An interrupted import continues from there.
    pub fn reached(&mut self, positions: &[Position]) {
        if !self.is_due() {
            return;
        }
        self.write();
        self.keep(positions);
        let Some(transaction) = self.transaction.take().filter(|_| self.failure.is_none()) else { return };
        let begun = transaction.commit().and_then(|()| {
            self.kept = self.counts.observations;
            self.connection.unchecked_transaction()
        });
        match begun {
            Ok(transaction) => self.transaction = Some(transaction),
            Err(error) => self.failure = Some(error),
        }
    }

    /// Stores how far files were read.
    pub fn keep(&mut self, positions: &[Position]) {
        let now = self.settings.now;
        self.attempt(|connection| positions::write(connection, positions, now));
    }

    /// Whether nothing more can be written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Observations that are committed.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Adds an acknowledgement. Of two with the same prefix, the later one stays.
    pub fn acknowledge(&mut self, ack: &Ack) {
        self.counts.acks += 1;
        let known = self.attempt(acks::read).unwrap_or_default();
        if !known.iter().any(|known| known.remote == ack.remote.trunc() && known.at > ack.at) {
            self.attempt(|connection| acks::write(connection, ack));
        }
    }

    /// Uses the key of another store, so that devices keep their names. Returns `false` and keeps the own key if rows
    /// have names by it.
    pub fn adopt_key(&mut self, other: &DeviceKey) -> bool {
        let names_devices = self.names_devices;
        let adopted = self.attempt(|connection| {
            let own = key::read(connection)?;
            if own.as_ref() == Some(other) {
                return Ok(true);
            }
            if own.is_some() && names_devices {
                return Ok(false);
            }
            key::write(connection, other).map(|()| true)
        });
        adopted.unwrap_or(false)
    }

    /// Commits the rest.
    ///
    /// # Errors
    /// The observations beyond [`Importer::kept`] are not imported.
    pub fn finish(mut self) -> Result<Imported, WriteError> {
        self.write();
        let rows = self.attempt(rows).unwrap_or(0);
        let ImportSettings { now, retention, .. } = self.settings;
        self.attempt(|connection| positions::prune(connection, now - retention));
        let failed = |error| WriteError::new(self.path, error);
        if let Some(failure) = self.failure {
            return Err(failed(failure));
        }
        if let Some(transaction) = self.transaction {
            transaction.commit().map_err(failed)?;
        }
        let Imported { observations, old, future, excluded, .. } = self.counts;
        let new = rows - self.rows_before;
        let merged = (observations - old - future - excluded).saturating_sub(new);
        Ok(Imported { new, merged, ..self.counts })
    }

    fn write(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.attempt(|connection| {
            batch.in_order().iter().try_for_each(|o| append::write(connection, o, Provenance::Import))
        });
    }

    /// Does nothing after the first failure.
    fn attempt<T>(&mut self, action: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        action(self.transaction.as_ref()?).map_err(|error| self.failure = Some(error)).ok()
    }
}

fn rows(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT (SELECT count(*) FROM contacts) + (SELECT count(*) FROM probes) + (SELECT count(*) FROM answers)";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

fn names_devices(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM contacts WHERE device IS NOT NULL)
                   OR EXISTS (SELECT 1 FROM probes WHERE device IS NOT NULL)";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Observations before they are written, merged as the database would merge them.
#[derive(Default)]
struct Batch {
    contacts: HashMap<(Ipv6Addr, Ipv6Addr, Proto, u16), Contact>,
    probes: HashMap<(Time, Ipv6Addr, Ipv6Addr, Kind, u16), Probe>,
    others: Vec<Observation>,
    /// Observations added, including merged ones.
    taken: usize,
}

impl Batch {
    fn add(&mut self, observation: Observation) {
        self.taken += 1;
        match observation {
            Observation::Contact(new) => match self.contacts.entry((new.local, new.remote, new.proto, new.port)) {
                Entry::Vacant(place) => _ = place.insert(new),
                Entry::Occupied(mut place) => merge(place.get_mut(), new),
            },
            Observation::Probe(new) => match self.probes.entry((new.ts, new.source, new.target, new.kind, new.port)) {
                Entry::Vacant(place) => _ = place.insert(new),
                Entry::Occupied(mut place) => {
                    let old = place.get_mut();
                    old.count = old.count.max(new.count);
                    old.contacted_source |= new.contacted_source;
                    old.answered |= new.answered;
                    old.settling &= new.settling;
                    old.device = old.device.take().or(new.device);
                }
            },
            answer @ Observation::Answer(_) => self.others.push(answer),
        }
    }

    /// In the order of the tables, so that their pages are written one after the other.
    fn in_order(self) -> Vec<Observation> {
        let mut contacts: Vec<Contact> = self.contacts.into_values().collect();
        contacts.sort_unstable_by_key(|c| (c.local, c.remote, c.proto as u8, c.port));
        let mut probes: Vec<Probe> = self.probes.into_values().collect();
        probes.sort_unstable_by_key(|p| (p.ts, p.source, p.target));
        let observations =
            contacts.into_iter().map(Observation::Contact).chain(probes.into_iter().map(Observation::Probe));
        observations.chain(self.others).collect()
    }
}

/// Merges as [`Provenance::Import`] describes.
fn merge(old: &mut Contact, new: Contact) {
    let apart = new.ts > old.last || new.last < old.ts;
    old.count = if apart { old.count.saturating_add(new.count) } else { old.count.max(new.count) };
    if new.last >= old.last {
        old.local_port = new.local_port.or(old.local_port);
        old.name = new.name.or(old.name.take());
        old.device = new.device.or(old.device.take());
    } else {
        old.local_port = old.local_port.or(new.local_port);
        old.name = old.name.take().or(new.name);
        old.device = old.device.take().or(new.device);
    }
    old.ts = old.ts.min(new.ts);
    old.last = old.last.max(new.last);
}
