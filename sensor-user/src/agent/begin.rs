//! The beginning: what the store remembers. A database that turns out to be damaged is set aside, and
//! what was read of it before stays in the ledger.

use anyhow::Result;
use tattler_core::ack::Ack;
use tattler_core::ledger::{self, Ledger};
use tattler_core::observation::Observation;
use tattler_core::time::Time;
use tracing::{info, warn};

use super::clock::{self, Clock};
use super::{Settings, redate, remotes};
use crate::mark::{self, Mark};
use crate::store::{DeviceKey, ReplayError, Store, WriteError};

/// What a sensor begins with.
pub(super) struct Begun {
    pub(super) store: Store,
    pub(super) key: DeviceKey,
    pub(super) acks: Vec<Ack>,
    /// How far the ring was brought.
    pub(super) mark: Option<Mark>,
    /// By which events are dated.
    pub(super) clock: Clock,
    pub(super) ledger: Ledger,
}

/// Opens the store, and builds the ledger as it remembers it.
///
/// # Errors
/// One line with the way out: it is in use, of a newer version, or can't be written.
pub(super) fn begin(settings: &Settings) -> Result<Begun> {
    let (mut store, aside) = Store::open_or_begin_anew(&settings.state, clock::wall())?;
    if let Some(aside) = aside {
        warn!("{aside}");
    }
    let mut clock = begin_boot(&mut store);
    let mut ledger = empty(settings);
    let read = read(&mut store, settings, clock, &mut ledger);
    // The damage of a table shows when it is read.
    if let Some(why) = read.as_ref().err().and_then(damage) {
        let aside = store.begin_anew(&why, clock::wall())?;
        warn!("{aside}");
        clock = begin_boot(&mut store);
    } else {
        read?;
    }
    let (key, acks, mark) = (store.device_key()?, store.acks()?, store.mark()?);
    Ok(Begun { store, key, acks, mark, clock, ledger })
}

/// The clock by which the store has dated this boot so far; what was set since then is taken over.
fn begin_boot(store: &mut Store) -> Clock {
    let origin = clock::booted();
    // Without a name, every start is a boot.
    let id = match mark::boot() {
        0 => format!("at {origin}"),
        boot => format!("{boot:032x}"),
    };
    let mut clock = match store.begin_boot(&id, origin) {
        Ok(boot) => Clock::new(boot.origin),
        Err(error) => {
            warn!("{error}; if the clock is set, what is stored is not dated anew");
            return Clock::new(origin);
        }
    };
    let dated = clock;
    let Some(step) = clock.step(clock::look()) else { return clock };
    match store.redate(step) {
        Ok(rows) => {
            redate::tell(step, rows);
            clock
        }
        Err(error) => {
            warn!("{error}; what is stored is not dated anew yet");
            dated
        }
    }
}

/// Reads all that a sensor needs.
fn read(store: &mut Store, settings: &Settings, clock: Clock, ledger: &mut Ledger) -> Result<()> {
    store.device_key()?;
    store.acks()?;
    store.mark()?;
    let now = store.believed_now(clock.now())?;
    Ok(fill(ledger, settings, now, &mut |since, give| store.replay(since, give))?)
}

/// What hands out all that was seen since a time.
pub(super) type Replay<'r> = &'r mut dyn FnMut(Time, &mut dyn FnMut(Observation)) -> Result<(), ReplayError>;

/// The ledger as the store remembers it at `now`.
pub(super) fn rebuild(settings: &Settings, now: Time, replay: Replay<'_>) -> Result<Ledger, ReplayError> {
    let mut ledger = empty(settings);
    fill(&mut ledger, settings, now, replay)?;
    Ok(ledger)
}

fn empty(settings: &Settings) -> Ledger {
    let Settings { public, window, .. } = settings;
    Ledger::new(ledger::Settings { public: public.clone(), window: Some(*window), ..ledger::Settings::live() })
}

fn fill(ledger: &mut Ledger, settings: &Settings, now: Time, replay: Replay<'_>) -> Result<(), ReplayError> {
    let mut observations = 0u64;
    let replayed = replay(now - settings.window, &mut |observation| {
        // Home may have been another then; a NAT64 prefix that was not known yet was one all the same.
        if remotes::counts(&observation, &[], &settings.nat64) {
            ledger.observe(&observation);
        }
        observations += 1;
    });
    if observations > 0 {
        info!(observations, "ledger rebuilt from the store");
    }
    replayed
}

/// What is wrong with the database, if anything is.
fn damage(error: &anyhow::Error) -> Option<String> {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(ReplayError::Damaged { source, .. }), _) | (_, Some(WriteError::Damaged { source, .. })) => {
            Some(source.to_string())
        }
        _ => None,
    }
}
