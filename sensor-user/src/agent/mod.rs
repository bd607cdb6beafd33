//! The sensor as it runs: from the ring to ledger and store, until it is told to stop.
//!
//! - [`sensor`]: the loop; [`programs`]: what it asks of the kernel
//! - [`servers`]: the query socket and HTTP
//! - [`service`]: what the service manager is told
//! - [`allocator`]: what the system's allocator is told
//! - [`alarm`]: what the log says of loss and silence
//! - [`network`]: what it follows of the network
//! - [`uplinks`]: which devices to watch
//! - [`follow`]: uplinks that come and go
//! - [`begin`]: what the store remembers
//! - [`handover`]: what an earlier life left
//! - [`clock`]: boot time and wall clock
//! - [`redate`]: when the clock is set
//! - [`remotes`]: whose packets count
//! - [`devices`]: which device a local belongs to
//! - [`open`]: hosts that answer strangers
//! - [`shared`]: what the loop writes and queries read
//! - [`diary`]: what changes the diary: forget, acknowledge
//! - [`reload`]: new settings for a running sensor
//! - [`store_log`]: whether the store keeps up, for the log
//! - [`suspects`]: the thread that keeps the suspects up to date
//! - [`queries`]: answers to `status`, `suspects` and `explain`

mod alarm;
mod allocator;
mod begin;
mod clock;
mod devices;
mod diary;
mod erase;
mod follow;
mod handover;
pub mod live;
mod network;
mod open;
mod programs;
mod queries;
mod redate;
mod reload;
mod remotes;
mod scrape;
mod sensor;
mod servers;
mod service;
mod shared;
#[cfg(test)]
mod soak;
mod store_log;
mod suspects;
mod uplinks;

use std::collections::HashSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alarm::Alarm;
use anyhow::{Context, Result};
use begin::Begun;
use devices::Devices;
use follow::Uplinks;
use ipnet::Ipv6Net;
use open::Open;
use tattler_core::exclusions::Exclusions;
use tattler_core::home::{self, Prefixes};
use tattler_core::time::Span;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::agent::live::Live;
use crate::datapath::{Datapath, Mode, PinError, Pins, Sizes};
use crate::netlink::{self, Netlink};
use crate::store::{self, Writer};
use crate::{config, http, socket, told};
pub use queries::Status;
use redate::Redating;
pub use reload::Reload;
use sensor::Sensor;
use service::Watchdog;
use shared::Shared;

/// What the sensor is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The uplinks by name; empty for those of the IPv6 default routes.
    pub interfaces: Vec<String>,
    /// Home prefixes; empty for what netlink tells.
    pub home: Vec<Ipv6Net>,
    /// Home as well, whatever netlink tells.
    pub home_add: Vec<Ipv6Net>,
    /// Not home, with all that netlink finds inside.
    pub home_exclude: Vec<Ipv6Net>,
    /// Locals that are meant to be reached: probes of them are no evidence.
    pub public: Vec<Ipv6Net>,
    /// Devices are named by their MAC addresses, instead of a keyed hash of them.
    pub keep_mac: bool,
    /// NAT64 prefixes of this network (RFC 6052): remotes in them are IPv4 hosts and don't count.
    pub nat64: Vec<Ipv6Net>,
    /// The state directory.
    pub state: PathBuf,
    /// The query socket.
    pub socket: PathBuf,
    /// Where HTTP listens, if anywhere.
    pub listen: Option<SocketAddr>,
    /// How long the diary is kept, and how large it may be.
    pub store: store::Settings,
    /// What is never recorded; its devices come from `excluded_devices`.
    pub exclusions: Exclusions,
    /// Devices that are never recorded, as the configuration names them.
    pub excluded_devices: Vec<config::DeviceKey>,
    /// Names for people.
    pub names: config::Names,
    /// How far back the ledger looks.
    pub window: Span,
    /// The sizes of the kernel's maps.
    pub sizes: Sizes,
    /// How ingress is attached; `None` for the first way that the kernel takes.
    pub attach: Option<Mode>,
    /// What is attached and pinned stays when the sensor stops, for its next life.
    pub keep: bool,
}

impl Settings {
    /// What the user says of home.
    fn prefixes(&self) -> Prefixes {
        Prefixes { only: self.home.clone(), add: self.home_add.clone(), exclude: self.home_exclude.clone() }
    }
}

/// Runs the sensor until `shutdown` is ready. Settings that come by `reloads` replace those it has,
/// as far as they can.
///
/// # Errors
/// Whatever keeps it from starting, in one line. Once it runs, it says what fails and runs on.
pub async fn run(
    mut settings: Settings,
    reloads: mpsc::Receiver<Reload>,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    allocator::return_large_blocks();
    let Begun { store, key, acks, mark, clock, ledger } = begin::begin(&settings)?;
    let keep_mac = settings.keep_mac;
    settings.exclusions.devices = told::excluded_devices(&settings.excluded_devices, &key, keep_mac);
    let open = Open::new(&ledger);

    let netlink = Netlink::connect()?;
    let changes = netlink::changes()?;
    let neighbours = netlink::neighbour_changes()?;
    let network = netlink.network().await?;
    let uplinks = uplinks::choose(&network, &settings.interfaces)?;

    let listener = match settings.listen {
        Some(address) => Some(http::bind(address).await?),
        None => None,
    };
    let queries = socket::Listener::bind(&settings.socket)?;

    let prefixes = settings.prefixes();
    let mut datapath = load(&settings, store.path())?;
    let resumed = datapath.resume(mark);
    datapath.set_home(&home::home(&network, &uplinks, &prefixes))?;
    if resumed.is_none() {
        // The programs remember nothing yet; what was in use before is in use still.
        let in_use = ledger.locals().iter().filter(|local| local.used.is_some());
        datapath.set_in_use(in_use.map(|local| ledger.address(local.address)))?;
    }
    let attachments = uplinks::attach(&mut datapath, &uplinks, settings.attach)?;
    let handover = handover::settle(&mut datapath, resumed, mark, &attachments);
    let since = handover.since;
    let uplinks = Uplinks::new(attachments, settings.interfaces.is_empty());

    let writer = Writer::start(store, settings.store).context("cannot start the store's thread")?;
    let shared = Arc::new(Shared::new(clock.now(), settings.state.clone(), &writer, acks, ledger));
    let (eraser, erasing) = erase::start(datapath.memory()?).context("cannot start the thread that forgets")?;
    shared.erase_by(eraser);
    shared.set_names(told::names(&settings.names, &settings.public, Some(&key)));
    let keeper = suspects::start(&shared).context("cannot start the thread that keeps the suspects")?;
    let (stop, stopped) = watch::channel(());
    let servers = servers::start(&shared, listener, queries, &stopped);

    let counters = datapath.counters()?;
    datapath.begin();
    let mut sensor = Sensor {
        settings,
        datapath,
        writer,
        shared,
        live: Live::new(since),
        since,
        handed: 0,
        prefixes,
        devices: Devices::new({
            let key = key.clone();
            Box::new(move |mac| key.name(mac, keep_mac))
        }),
        key,
        open,
        set_aside: 0,
        learned: Vec::new(),
        uplinks,
        drained: 0,
        invalid: 0,
        last_event: None,
        clock,
        redating: Redating::default(),
        home: None,
        own: Vec::new(),
        inside: HashSet::new(),
        arrivals: 0,
        fresh: Vec::new(),
        pending: Vec::new(),
        due: Vec::new(),
        alarm: Alarm::new(&counters, Instant::now()),
        watchdog: Watchdog::new(Instant::now()),
        store_log: store_log::StoreLog::default(),
    };
    sensor.shared.seen().lost_between = handover.lost;
    // Before anything is seen, so that a next life knows this one.
    sensor.hand_over(Vec::new());
    sensor.network_changed(&network);
    sensor.read_neighbours(&netlink).await;
    info!("ready");
    service::ready();
    sensor.watch(netlink, changes, neighbours, reloads, shutdown).await;

    service::stopping();
    if !sensor.settings.keep {
        // Detach first, then take what the ring still holds.
        for uplink in sensor.uplinks.devices() {
            sensor.datapath.detach(uplink.index);
        }
    }
    sensor.drain_all();
    drop((stop, keeper));
    for server in servers {
        let _ = server.await;
    }
    let summary = sensor.writer.finish();
    sensor.shared.end_erasing();
    let _ = erasing.join();
    sensor.datapath.release(sensor.shared.store.position());
    if summary.lost > 0 {
        let why = summary.failure.map(|failure| format!(": {failure}")).unwrap_or_default();
        warn!(lost = summary.lost, "observations that the store did not take{why}");
    }
    info!(events = sensor.drained, stored = summary.written, "stopped");
    Ok(())
}

/// Loads the programs, with the maps of the sensor's earlier life if it left any.
fn load(settings: &Settings, database: &Path) -> Result<Datapath> {
    let pins = Pins::open(database.parent().unwrap_or(&settings.state), settings.sizes);
    let (pins, unpinned) = match pins {
        Ok(pins) => (Some(pins), None),
        Err(error @ PinError::InUse(_)) => return Err(error.into()),
        Err(error) => (None, Some(error)),
    };
    let datapath = Datapath::load(settings.sizes, pins, settings.keep)?;
    if let Some(error) = unpinned {
        warn!("{error}; what happens between two lives of the sensor is lost");
    }
    Ok(datapath)
}
