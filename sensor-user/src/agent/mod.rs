//! `tattler run`: from the ring of events to ledger and store, until the sensor is stopped.
//!
//! # Layout
//! Each folder and file uses only those below it in this list:
//! - [`run`]: puts the parts together, and takes them apart at the end
//! - `intake/`: the loop, and everything that it does with events and with news of the network
//! - `serve/`: the query socket and HTTP
//! - `suspects`: the thread that keeps the suspects up to date
//! - `notices/`: log lines about the sensor's own health, and the service manager
//! - `state/`: what the loop writes and queries read, and the order of its locks
//! - `kernel_tables`: the thread that removes forgotten entries from the kernel's tables
//! - `settings`, `clock`, `allocator`

mod allocator;
mod clock;
mod intake;
mod kernel_tables;
mod notices;
mod serve;
mod settings;
mod state;
mod suspects;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use intake::{Restored, Sensor, Takeover, Uplinks, restore};
use notices::service_manager::{self, NotifyState};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::datapath::{Datapath, PinError, Pins};
use crate::netlink::{self, Netlink};
use crate::store::Writer;
use crate::{device_names, http, socket};
pub use serve::SensorStatus;
pub use settings::{Reload, SensorSettings};
use state::Shared;

/// Runs the sensor until `shutdown` is ready. Settings that come by `reloads` replace those it has, as far as a running
/// sensor can change them.
///
/// # Errors
/// One line that says why it can't start. Once the sensor runs, failures are logged and do not end it.
pub async fn run(
    mut settings: SensorSettings,
    reloads: mpsc::Receiver<Reload>,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    allocator::return_large_blocks();
    // Before the store is opened: names that no interface can have.
    Uplinks::new(&settings.interfaces)?;
    let Restored { store, key, acks, mark, clock, ledger } = restore(&settings)?;
    settings.exclusions.devices = device_names::excluded_devices(&settings.excluded_devices, &key, settings.keep_mac);

    let netlink = Netlink::connect()?;
    let (changes, neighbours) = (netlink::changes()?, netlink::neighbour_changes()?);
    let network = netlink.network().await?;
    let listener = match settings.listen {
        Some(address) => Some(http::bind(address).await?),
        None => None,
    };
    let queries = socket::Listener::bind(&settings.socket)?;

    let mut datapath = load(&settings, store.path())?;
    let adopted = datapath.resume(mark);
    if adopted.is_none() {
        // The programs remember nothing yet. Addresses that were in use before are still in use.
        let in_use = ledger.locals().iter().filter(|local| local.used.is_some());
        datapath.set_in_use(in_use.map(|local| ledger.address(local.address)))?;
    }
    let (eraser, erasing) = kernel_tables::start(datapath.memory()?).context("cannot start the thread that forgets")?;
    let writer = Writer::start(store, settings.store).context("cannot start the store's thread")?;
    let shared = Arc::new(Shared::new(clock.now(), settings.state.clone(), &writer, acks, ledger, Some(eraser)));
    shared.set_names(device_names::names(&settings.names, &settings.public, Some(&key)));
    let takeover = Takeover { adopted, mark };
    let mut sensor = Sensor::new(settings, datapath, takeover, clock, writer, shared.clone(), key)?;
    let keeper = suspects::start(&shared).context("cannot start the thread that keeps the suspects")?;
    sensor.start(&network)?;

    let (stop, stopped) = watch::channel(());
    let mut servers = serve::start(&shared, listener, queries, &stopped);
    let (read_network, read_neighbours) = (async || netlink.network().await, async || netlink.neighbours().await);
    intake::watch(&mut sensor, read_network, read_neighbours, changes, neighbours, reloads, shutdown).await;

    service_manager::notify(NotifyState::Stopping);
    let (mut datapath, writer, events) = sensor.stop();
    drop((stop, keeper));
    while servers.join_next().await.is_some() {}
    let summary = writer.finish();
    shared.end_erasing();
    let _ = erasing.join();
    datapath.release(shared.store.position());
    if summary.lost > 0 {
        let why = summary.failure.map(|failure| format!(": {failure}")).unwrap_or_default();
        warn!(lost = summary.lost, "observations that the store did not take{why}");
    }
    info!(events, stored = summary.written, "stopped");
    Ok(())
}

/// Loads the programs, with the maps that an earlier run left, if any.
fn load(settings: &SensorSettings, database: &Path) -> Result<Datapath> {
    let pins = Pins::open(database.parent().unwrap_or(&settings.state), settings.sizes);
    let (pins, unpinned) = match pins {
        Ok(pins) => (Some(pins), None),
        Err(error @ PinError::InUse(_)) => return Err(error.into()),
        Err(error) => (None, Some(error)),
    };
    let datapath = Datapath::load(settings.sizes, pins, settings.keep)?;
    if let Some(error) = unpinned {
        warn!("{error}; events between two runs of the sensor will be lost");
    }
    Ok(datapath)
}
