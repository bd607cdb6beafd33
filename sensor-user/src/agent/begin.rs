//! The beginning: what the store remembers. A database that turns out to be damaged is set aside, and
//! what was read of it before stays in the ledger.

use anyhow::Result;
use tracing::{info, warn};

use super::{Settings, clock, remotes};
use crate::ack::Ack;
use crate::ledger::{self, Ledger};
use crate::mark::Mark;
use crate::store::{DeviceKey, ReplayError, Store, WriteError};

/// What a sensor begins with.
pub(super) struct Begun {
    pub(super) store: Store,
    pub(super) key: DeviceKey,
    pub(super) acks: Vec<Ack>,
    /// How far the ring was brought.
    pub(super) mark: Option<Mark>,
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
    let mut ledger = Ledger::new(ledger::Settings {
        public: settings.public.clone(),
        window: Some(settings.window),
        ..ledger::Settings::live()
    });
    let read = read(&mut store, settings, &mut ledger);
    // The damage of a table shows when it is read.
    if let Some(why) = read.as_ref().err().and_then(damage) {
        let aside = store.begin_anew(&why, clock::wall())?;
        warn!("{aside}");
    } else {
        read?;
    }
    let (key, acks, mark) = (store.device_key()?, store.acks()?, store.mark()?);
    Ok(Begun { store, key, acks, mark, ledger })
}

/// Reads all that a sensor needs.
fn read(store: &mut Store, settings: &Settings, ledger: &mut Ledger) -> Result<()> {
    store.device_key()?;
    store.acks()?;
    store.mark()?;
    let since = clock::wall() - settings.window;
    let mut observations = 0u64;
    let replayed = store.replay(since, &mut |observation| {
        // Home may have been another then; a NAT64 prefix that was not known yet was one all the same.
        if remotes::counts(&observation, &[], &settings.nat64) {
            ledger.observe(&observation);
        }
        observations += 1;
    });
    if observations > 0 {
        info!(observations, "ledger rebuilt from the store");
    }
    Ok(replayed?)
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
