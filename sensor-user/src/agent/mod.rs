//! The sensor as it runs: from the ring to ledger and store, until it is told to stop.
//!
//! - [`uplinks`]: which devices to watch
//! - [`clock`]: boot time and wall clock
//! - [`remotes`]: whose packets count
//! - [`devices`]: which device a local belongs to
//! - [`open`]: hosts that answer strangers
//! - [`shared`]: what the loop writes and queries read
//! - [`diary`]: what changes the diary: forget, acknowledge
//! - [`reload`]: new settings for a running sensor
//! - [`queries`]: answers to `status`, `suspects` and `explain`

mod clock;
mod devices;
mod diary;
mod open;
mod queries;
mod reload;
mod remotes;
mod scrape;
mod shared;
mod told;
mod uplinks;

use std::future::Future;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use ipnet::Ipv6Net;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use crate::datapath::{Attachment, Datapath, Device, Sizes};
use crate::exclusions::Exclusions;
use crate::forget::Forget;
use crate::ledger::{self, Ledger};
use crate::netlink::{self, NeighbourNews, Netlink, Network, Prefixes};
use crate::observation::Observation;
use crate::source::live::Live;
use crate::store::{self, Store, Writer};
use crate::time::{Span, Time};
use crate::{config, http, socket};
use devices::Devices;
use open::Open;
pub use queries::{Status, parse_remote};
pub use reload::Reload;
use shared::Shared;

/// How often the ring is drained. No event wakes anybody.
const TICK: Duration = Duration::from_millis(10);
/// Events taken out of the ring in one turn, so that a flood leaves room for all else.
const BATCH: usize = 4_096;
/// Observations that may wait for the ledger, some 200 MB.
const MOST_PENDING: usize = 1 << 20;
/// How long changes of the network are left to settle before they are read.
const SETTLE: Duration = Duration::from_millis(200);
/// Between two looks at the counters.
const SECOND: Duration = Duration::from_secs(1);
/// Between two prunings of the ledger.
const HOUR: Duration = Duration::from_secs(3_600);

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
    let mut store = Store::open(&settings.state)?;
    let (key, keep_mac) = (store.device_key()?, settings.keep_mac);
    settings.exclusions.devices = told::excluded_devices(&settings, &key);
    let ledger = rebuild(&store, &settings)?;
    let open = Open::new(&ledger);
    let acks = store.acks()?;

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
    let started = clock::boot();
    let mut datapath = Datapath::load(settings.sizes)?;
    datapath.set_home(&netlink::home(&network, &uplinks, &prefixes))?;
    let attachments = uplinks::attach(&mut datapath, &uplinks)?;

    let writer = Writer::start(store, settings.store).context("cannot start the store's thread")?;
    let shared = Arc::new(Shared::new(clock::wall(), settings.state.clone(), &writer, acks, ledger));
    shared.set_names(told::names(&settings, &key));
    let (stop, stopped) = watch::channel(());
    let servers = serve(&shared, listener, queries, &stopped);

    let mut sensor = Sensor {
        settings,
        datapath,
        writer,
        shared,
        live: Live::new(started),
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
        attachments,
        drained: 0,
        invalid: 0,
        last_event: None,
        fresh: Vec::new(),
        pending: Vec::new(),
    };
    sensor.network_changed(&network);
    sensor.read_neighbours(&netlink).await;
    info!("ready");
    sensor.watch(netlink, changes, neighbours, reloads, shutdown).await;

    // Detach first, then take what the ring still holds.
    for uplink in sensor.uplinks.clone() {
        sensor.datapath.detach(uplink.index);
    }
    loop {
        let drained = sensor.drain();
        sensor.flush();
        if drained == 0 {
            break;
        }
    }
    drop(stop);
    for server in servers {
        let _ = server.await;
    }
    let summary = sensor.writer.finish();
    if summary.lost > 0 {
        warn!(lost = summary.lost, "observations that the store did not take");
    }
    info!(events = sensor.drained, stored = summary.written, "stopped");
    Ok(())
}

/// The ledger as the store remembers it.
fn rebuild(store: &Store, settings: &Settings) -> Result<Ledger> {
    let nat64 = &settings.nat64;
    let settings =
        ledger::Settings { public: settings.public.clone(), window: Some(settings.window), ..ledger::Settings::live() };
    let since = settings.window.map_or(clock::wall() - Span(i64::MAX), |window| clock::wall() - window);
    let mut ledger = Ledger::new(settings);
    let mut observations = 0u64;
    store.replay(since, &mut |observation| {
        // Home may have been another then; a NAT64 prefix that was not known yet was one all the same.
        if remotes::counts(&observation, &[], nat64) {
            ledger.observe(&observation);
        }
        observations += 1;
    })?;
    if observations > 0 {
        info!(observations, "ledger rebuilt from the store");
    }
    Ok(ledger)
}

/// Starts the servers; they stop when the other end of `stopped` is dropped.
fn serve(
    shared: &Arc<Shared>,
    listener: Option<TcpListener>,
    queries: socket::Listener,
    stopped: &watch::Receiver<()>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender is gone, which is the sign.
            let _ = stopped.changed().await;
        }
    };
    let mut servers = Vec::new();
    if let Some(listener) = listener {
        let shared = shared.clone();
        let until = until_stopped();
        servers.push(tokio::spawn(async move {
            let healthy = shared.clone();
            let handlers = http::Handlers {
                metrics: Arc::new(move || scrape::metrics(&shared)),
                health: Arc::new(move || scrape::health(&healthy)),
            };
            if let Err(error) = http::serve(listener, handlers, until).await {
                warn!("HTTP ended: {error}");
            }
        }));
    }
    let shared = shared.clone();
    let until = until_stopped();
    servers.push(tokio::spawn(async move {
        socket::serve(queries, Arc::new(move |request| queries::answer(&shared, &request)), until).await;
    }));
    servers
}

/// The loop and what it owns.
struct Sensor {
    settings: Settings,
    datapath: Datapath,
    writer: Writer,
    shared: Arc<Shared>,
    live: Live,
    prefixes: Prefixes,
    devices: Devices,
    key: store::DeviceKey,
    open: Open,
    set_aside: u64,
    learned: Vec<(Ipv6Addr, String)>,
    uplinks: Vec<Device>,
    attachments: Vec<Attachment>,
    drained: u64,
    invalid: u64,
    last_event: Option<Time>,
    /// For the store and then the ledger.
    fresh: Vec<Observation>,
    /// Waits for the ledger.
    pending: Vec<Observation>,
}

impl Sensor {
    async fn watch(
        &mut self,
        netlink: Netlink,
        mut changes: impl futures_util::Stream<Item = ()> + Unpin,
        mut neighbours: impl futures_util::Stream<Item = NeighbourNews> + Unpin,
        mut reloads: mpsc::Receiver<Reload>,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut second = interval(SECOND);
        let mut hour = interval(HOUR);
        let mut settled: Option<Instant> = None;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                _ = tick.tick() => if self.drain() == BATCH {
                    // There is more, but the other branches have their turn first: a flood must not
                    // keep the sensor from stopping, nor from following the network.
                    tick.reset_immediately();
                    tokio::task::yield_now().await;
                },
                _ = second.tick() => self.show(),
                _ = hour.tick() => {
                    self.shared.ledger().prune(clock::wall());
                    self.open.next_hour();
                }
                Some(news) = neighbours.next() => match news {
                    NeighbourNews::Known(neighbour) => self.learn(&[neighbour]),
                    NeighbourNews::Missed => self.read_neighbours(&netlink).await,
                },
                Some(reload) = reloads.recv() => if self.reload(reload) {
                    settled = Some(Instant::now());
                },
                // The first of a burst of changes sets the time; the rest is read with it.
                Some(()) = changes.next() => { settled.get_or_insert_with(|| Instant::now() + SETTLE); }
                () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {
                    settled = None;
                    match netlink.network().await {
                        Ok(network) => self.network_changed(&network),
                        Err(error) => warn!("{error}"),
                    }
                }
            }
        }
    }

    /// Takes up to [`BATCH`] events out of the ring, to ledger and store. While a query holds the
    /// ledger they wait in `pending`, and beyond its bound in the ring.
    fn drain(&mut self) -> usize {
        let booted = clock::booted();
        let (live, fresh, mut unknown) = (self.live, &mut self.fresh, 0);
        let room = MOST_PENDING.saturating_sub(self.pending.len());
        let (exclusions, excluded) = (&self.settings.exclusions, &self.shared.excluded);
        let drained = self.datapath.drain(BATCH.min(room), |event| match live.observe(&event, booted) {
            Some(observation) if exclusions.excludes(&observation) => _ = excluded.fetch_add(1, Relaxed),
            Some(observation) => fresh.push(observation),
            None => unknown += 1,
        });
        self.drained += drained.events as u64;
        self.invalid += (drained.invalid + unknown) as u64;
        self.last_event = fresh.last().map(Observation::ts).or(self.last_event);
        self.record();
        let waits = !self.pending.is_empty() || !self.learned.is_empty();
        if waits && !self.shared.ledger_is_held() {
            self.flush();
        }
        drained.events + drained.invalid
    }

    /// Hands the store what is fresh, less what is of no remote, with devices. It does not wait for
    /// the ledger: the store's queue takes what comes in a moment, not what comes during a long query.
    fn record(&mut self) {
        let mut batch = std::mem::take(&mut self.fresh);
        if batch.is_empty() {
            return;
        }
        let events = batch.len();
        {
            let seen = self.shared.seen();
            batch.retain(|observation| remotes::counts(observation, &seen.home, &self.settings.nat64));
        }
        self.set_aside += (events - batch.len()) as u64;
        let excluded_before = batch.len();
        let (devices, exclusions) = (&mut self.devices, &self.settings.exclusions);
        batch.retain_mut(|observation| {
            let device = devices.complete(observation);
            !exclusions.excludes_of(observation, device.as_deref())
        });
        self.shared.excluded.fetch_add((excluded_before - batch.len()) as u64, Relaxed);
        self.pending.extend_from_slice(&batch);
        if !batch.is_empty() {
            self.writer.send(batch);
        }
    }

    /// Waits for the ledger and hands it what is pending.
    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.pending);
        let mut ledger = self.shared.ledger();
        for observation in &batch {
            ledger.observe(observation);
            if let Observation::Answer(answer) = observation {
                // It may be all that is ever seen of this local.
                if let Some(device) = self.devices.find(answer.target) {
                    ledger.belongs_to(answer.target, &device);
                }
                if let Some(line) = self.open.first_sight(&ledger, answer) {
                    warn!("{line}");
                }
            }
        }
        let learned = std::mem::take(&mut self.learned);
        for (address, device) in &learned {
            ledger.belongs_to(*address, device);
        }
        drop(ledger);
        for (address, device) in learned {
            if self.settings.exclusions.devices.contains(&device) {
                self.forget_early(address);
            }
        }
    }

    /// What was recorded of an address before its device was known to be excluded goes again.
    fn forget_early(&self, address: Ipv6Addr) {
        let shared = self.shared.clone();
        let what = Forget { prefix: Some(address.into()), ..Forget::default() };
        tokio::task::spawn_blocking(move || match diary::forget(&shared, &what) {
            Ok(_) => {}
            Err(error) => warn!("an excluded device is not wholly forgotten: {error}"),
        });
    }

    async fn read_neighbours(&mut self, netlink: &Netlink) {
        match netlink.neighbours().await {
            Ok(neighbours) => self.learn(&neighbours),
            Err(error) => warn!("{error}"),
        }
    }

    /// Takes neighbours in; the ledger learns of them with the next events. Those on an uplink are
    /// not ours.
    fn learn(&mut self, neighbours: &[netlink::Neighbour]) {
        for neighbour in neighbours.iter().filter(|n| !self.uplinks.iter().any(|uplink| uplink.index == n.device)) {
            let Some((device, refresh)) = self.devices.learn(neighbour) else { continue };
            self.learned.push((neighbour.address, device));
            self.fresh.extend(refresh);
        }
    }

    /// Tells programs and ledger what is ours now, and whether the uplinks are there.
    fn network_changed(&mut self, network: &Network) {
        self.look_at_uplinks(network);
        let home = netlink::home(network, &self.uplinks, &self.prefixes);
        let known = self.shared.seen().home.clone();
        if home != known {
            match self.datapath.set_home(&home) {
                Ok(()) => {
                    let ours: Vec<String> = home.iter().filter(|h| h.ours).map(|h| h.prefix.to_string()).collect();
                    if ours.is_empty() {
                        warn!("no home prefix yet: nothing is ours, so nothing is recorded");
                    } else {
                        info!(home = ours.join(" "), "home prefixes");
                    }
                    self.shared.ledger().home_is(|address| netlink::is_home(&home, address), clock::wall());
                    self.shared.seen().home = home;
                }
                Err(error) => warn!("{error}"),
            }
        }
        self.devices.own(network.addresses.iter().map(|address| address.address));
        let now = clock::wall();
        let mut ledger = self.shared.ledger();
        for address in &network.addresses {
            let global = |a: Ipv6Addr| sensor_common::rules::is_global(&a.octets());
            match address.temporary {
                _ if !global(address.address) => {}
                true => ledger.mark_temporary(address.address, now),
                false => ledger.mark_stable(address.address, now),
            }
        }
    }

    /// An uplink that goes away takes the programs with it. One of the same name that comes later
    /// is another device, which nobody asked to watch.
    fn look_at_uplinks(&self, network: &Network) {
        let mut seen = self.shared.seen();
        for uplink in self.uplinks.iter().filter(|uplink| !network.devices.iter().any(|d| d.index == uplink.index)) {
            if !seen.gone.contains(&uplink.index) {
                warn!("{} is gone: nothing is seen there; start the sensor again when it is back", uplink.name);
                seen.gone.push(uplink.index);
            }
        }
        seen.up.clone_from(&network.up);
    }

    /// Leaves the latest view for queries and metrics.
    fn show(&mut self) {
        let counters = self.datapath.counters();
        let mut seen = self.shared.seen();
        match counters {
            Ok(counters) => seen.counters = counters,
            Err(error) => warn!("{error}"),
        }
        seen.uplinks.clone_from(&self.attachments);
        seen.drained = self.drained;
        seen.invalid = self.invalid;
        seen.set_aside = self.set_aside;
        seen.last_event = self.last_event;
    }
}
