//! Imports observations from files, in chunks. Each chunk is committed together with the positions reached in the
//! files. Observations that are already in the store are merged with the existing rows.

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

/// Number of observations that are sorted in memory before they are written: about 20 MB.
const BATCH: usize = 50_000;
/// Number of observations after which an import is committed: a few seconds of work.
const CHUNK: u64 = 200_000;
/// The tolerance for differences between clocks. Observations further in the future have wrong times. Retention would
/// not delete them.
const FUTURE: Span = Span::from_days(1);

/// The settings of an import.
#[derive(Clone, Debug)]
pub struct ImportSettings {
    /// The time of the wall clock.
    pub now: Time,
    /// Maximum age of observations. The import leaves out older observations.
    pub retention: Span,
    /// The import leaves out observations that these exclusions match.
    pub exclusions: Exclusions,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Number of all observations in the files.
    pub observations: u64,
    /// Number of new rows.
    pub new: u64,
    /// Number of observations that were merged into existing rows, or with other observations into one new row.
    pub merged: u64,
    /// Number of observations left out because they are older than the retention.
    pub old: u64,
    /// Number of observations left out because they are in the future.
    pub future: u64,
    /// Number of observations left out because the configuration excludes them.
    pub excluded: u64,
    /// Number of acknowledgements in the files.
    pub acks: u64,
}

/// An import in progress. [`Importer::reached`] commits positions. After an error, or if the process is killed, the
/// observations after the last committed position are not imported.
pub struct Importer<'s> {
    connection: &'s Connection,
    /// `None` after a failure.
    transaction: Option<Transaction<'s>>,
    path: &'s Path,
    settings: ImportSettings,
    batch: Batch,
    counts: Imported,
    rows_before: u64,
    /// Whether some rows had device names before the import.
    names_devices: bool,
    failure: Option<rusqlite::Error>,
    /// Number of committed observations.
    kept: u64,
}

impl Store {
    /// Begins an import.
    pub fn import(&mut self, settings: ImportSettings) -> Result<Importer<'_>, WriteError> {
        let begin = || -> rusqlite::Result<Importer<'_>> {
            // `unchecked_transaction` is sound here, because this connection has no other transaction.
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
    /// Adds an observation. [`Importer::has_failed`] and [`Importer::finish`] report a failed write.
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

    /// Whether enough observations were added for a commit.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.counts.observations - self.kept >= CHUNK
    }

    /// The caller must call this after all observations up to these positions were added. If [`Importer::is_due`],
    /// commits the observations together with the positions. After an interruption, the next import continues from the
    /// committed positions.
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

    /// Stores the positions up to which files were read.
    pub fn keep(&mut self, positions: &[Position]) {
        let now = self.settings.now;
        self.attempt(|connection| positions::write(connection, positions, now));
    }

    /// Whether a write failed. After a failure, nothing more is written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Number of committed observations.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Adds an acknowledgement. Of two acknowledgements with the same prefix, the later stays.
    pub fn acknowledge(&mut self, ack: &Ack) {
        self.counts.acks += 1;
        let known = self.attempt(acks::read).unwrap_or_default();
        if !known.iter().any(|known| known.remote == ack.remote.trunc() && known.at > ack.at) {
            self.attempt(|connection| acks::write(connection, ack));
        }
    }

    /// Adopts the key of another store, so that devices keep their names. If rows of this store already have names made
    /// with the store's own key, keeps the own key and returns `false`.
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

    /// Writes and commits the remaining observations.
    ///
    /// # Errors
    /// A write failed. Only the first [`Importer::kept`] observations are imported.
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

    /// Runs an action on the transaction. Does nothing after the first failure.
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

/// Observations that are not written yet, merged by the same rules as in the database.
#[derive(Default)]
struct Batch {
    contacts: HashMap<(Ipv6Addr, Ipv6Addr, Proto, u16), Contact>,
    probes: HashMap<(Time, Ipv6Addr, Ipv6Addr, Kind, u16), Probe>,
    others: Vec<Observation>,
    /// Number of added observations, including merged observations.
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

    /// Returns the observations in the order of the tables, so that the pages of the tables are written in sequence.
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

/// Merges two contacts by the rules of [`Provenance::Import`].
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
