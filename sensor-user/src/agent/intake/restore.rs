//! At the start: opens the store and rebuilds the ledger from it. A database that turns out to be damaged is set
//! aside; the rows read until then stay in the ledger.

use anyhow::Result;
use tattler_core::ack::Ack;
use tattler_core::ledger::{self, Ledger};
use tattler_core::observation::Observation;
use tattler_core::time::Time;
use tracing::{info, warn};

use super::ring::has_remote;
use crate::agent::clock::{self, EventClock};
use crate::agent::settings::SensorSettings;
use crate::mark::{self, Mark};
use crate::store::{DeviceKey, ReplayError, Store, WriteError};

/// What the store remembers.
pub struct Restored {
    pub store: Store,
    pub key: DeviceKey,
    pub acks: Vec<Ack>,
    /// Up to where the ring is stored.
    pub mark: Option<Mark>,
    pub clock: EventClock,
    pub ledger: Ledger,
}

/// Opens the store and rebuilds the ledger. An error is one line with the way out: the store is in use, of a newer
/// version, or can't be written.
pub fn restore(settings: &SensorSettings) -> Result<Restored> {
    let (mut store, aside) = Store::open_or_replace(&settings.state, clock::wall())?;
    if let Some(aside) = aside {
        warn!("{aside}");
    }
    let mut ledger = empty(settings);
    let mut read = |store: &mut Store| -> Result<_> {
        let clock = begin_boot(store);
        let (key, acks, mark) = (store.device_key()?, store.acks()?, store.mark()?);
        let now = store.believed_now(clock.now())?;
        fill(&mut ledger, settings, now, |since, give| store.replay(since, give))?;
        Ok((key, acks, mark, clock))
    };
    // Damage of a table shows when it is read.
    let mut outcome = read(&mut store);
    if let Some(why) = outcome.as_ref().err().and_then(damage) {
        warn!("{}", store.replace_damaged(&why, clock::wall())?);
        outcome = read(&mut store);
    }
    let (key, acks, mark, clock) = outcome?;
    Ok(Restored { store, key, acks, mark, clock, ledger })
}

/// Dates events by the origin that the store has used for this boot so far. If the clock was set since then, the
/// loop notices it at its first look.
fn begin_boot(store: &mut Store) -> EventClock {
    let origin = clock::booted();
    // Without the kernel's name of the boot, every start counts as one.
    let id = match mark::boot() {
        0 => format!("at {origin}"),
        boot => format!("{boot:032x}"),
    };
    let boot = store.begin_boot(&id, origin).inspect_err(|error| {
        warn!("{error}; if the clock is set, stored observations keep their dates");
    });
    EventClock::new(boot.map_or(origin, |boot| boot.origin), clock::look)
}

/// A ledger by these settings, with nothing in it.
pub fn empty(settings: &SensorSettings) -> Ledger {
    let SensorSettings { public, window, .. } = settings;
    Ledger::new(ledger::LedgerSettings {
        public: public.clone(),
        window: Some(*window),
        ..ledger::LedgerSettings::live()
    })
}

/// Fills a ledger whose window ends at `now`. `replay` hands out all observations of the store since a time.
pub fn fill(
    ledger: &mut Ledger,
    settings: &SensorSettings,
    now: Time,
    replay: impl FnOnce(Time, &mut dyn FnMut(Observation)) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    let mut observations = 0u64;
    let replayed = replay(now - settings.window, &mut |observation| {
        // Home may have been another one then. A NAT64 prefix that the user names later was one all along.
        if has_remote(&observation, &[], &settings.nat64) {
            ledger.observe(&observation);
        }
        observations += 1;
    });
    if observations > 0 {
        info!(observations, "ledger rebuilt from the store");
    }
    replayed
}

/// What is wrong with the database, if the error is about damage.
fn damage(error: &anyhow::Error) -> Option<String> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(ReplayError::Damaged { source, .. }), _) | (_, Some(WriteError::Damaged { source, .. })) => {
            Some(source.to_string())
        }
        _ => None,
    }
}
