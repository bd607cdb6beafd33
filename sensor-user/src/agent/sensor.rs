//! The loop: drains the ring, follows the network, and hands on what it learns.
//!
//! Nothing here waits for a query or a disk. The store has a queue of its own; the ledger gets what
//! is due to it as soon as no query holds it.

use std::collections::HashSet;
use std::future::Future;
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use sensor_common::wire::{BootTime, Event};
use tattler_core::forget::Forget;
use tattler_core::home::{self, Home, News, Prefixes};
use tattler_core::ledger::Ledger;
use tattler_core::observation::Observation;
use tattler_core::time::Time;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::warn;

use super::alarm::Alarm;
use super::clock::Clock;
use super::devices::Devices;
use super::follow::Uplinks;
use super::open::Open;
use super::programs::Programs;
use super::redate::Redating;
use super::reload::Reload;
use super::service::Watchdog;
use super::shared::Shared;
use super::store_log::StoreLog;
use super::{Settings, diary, remotes};
use crate::agent::live::Live;
use crate::datapath::Datapath;
use crate::netlink::{NeighbourNews, Netlink};
use crate::store::{self, Writer};

/// How often the ring is drained. No event wakes anybody.
const TICK: Duration = Duration::from_millis(10);
/// Events taken out of the ring in one turn, so that a flood leaves room for all else.
const BATCH: usize = 4_096;
/// Observations that may wait for the ledger, some 200 MB.
pub(super) const MOST_PENDING: usize = 1 << 20;
/// How long changes of the network are left to settle before they are read.
const SETTLE: Duration = Duration::from_millis(200);
/// Between two looks at the counters.
const SECOND: Duration = Duration::from_secs(1);
/// Between two prunings of the ledger.
const HOUR: Duration = Duration::from_secs(3_600);

/// The loop and what it owns.
pub(super) struct Sensor<P = Datapath> {
    pub(super) settings: Settings,
    pub(super) datapath: P,
    pub(super) writer: Writer,
    pub(super) shared: Arc<Shared>,
    pub(super) live: Live,
    /// Since when the uplinks have been watched without a gap.
    pub(super) since: BootTime,
    /// How far the ring was handed to the store.
    pub(super) handed: u64,
    pub(super) prefixes: Prefixes,
    pub(super) devices: Devices,
    pub(super) key: store::DeviceKey,
    pub(super) open: Open,
    pub(super) set_aside: u64,
    pub(super) learned: Vec<(Ipv6Addr, String)>,
    pub(super) uplinks: Uplinks,
    pub(super) drained: u64,
    pub(super) invalid: u64,
    pub(super) last_event: Option<Time>,
    pub(super) clock: Clock,
    pub(super) redating: Redating,
    /// What the programs were told; `None` before they were.
    pub(super) home: Option<Vec<Home>>,
    /// The addresses of this machine, and whether they are temporary.
    pub(super) own: Vec<(Ipv6Addr, bool)>,
    /// The devices behind this machine, by their index.
    pub(super) inside: HashSet<u32>,
    /// What was taken as home since the network was read.
    pub(super) arrivals: u32,
    /// For the store and then the ledger.
    pub(super) fresh: Vec<Observation>,
    /// Waits for the ledger.
    pub(super) pending: Vec<Observation>,
    /// As these do.
    pub(super) due: Vec<Due>,
    pub(super) alarm: Alarm,
    pub(super) watchdog: Watchdog,
    pub(super) store_log: StoreLog,
}

/// What the ledger is to be told when it is free.
pub(super) enum Due {
    /// What is home, from this time on.
    Home(Vec<Home>, Time),
    /// The addresses of this machine at this time, and whether they are temporary.
    Own(Vec<(Ipv6Addr, bool)>, Time),
    /// It is time to forget what is older than the window.
    Prune,
}

impl<P: Programs> Sensor<P> {
    pub(super) async fn watch(
        &mut self,
        netlink: Netlink,
        mut changes: impl Stream<Item = News> + Unpin,
        mut neighbours: impl Stream<Item = NeighbourNews> + Unpin,
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
                _ = second.tick() => {
                    self.show();
                    self.watchdog.feed(self.datapath.position(), self.datapath.is_waiting(), Instant::now());
                    // What failed is tried again with what the network is then.
                    if self.uplinks.is_due(Instant::now()) {
                        settled.get_or_insert_with(Instant::now);
                    }
                }
                _ = hour.tick() => self.next_hour(),
                Some(news) = neighbours.next() => match news {
                    NeighbourNews::Known(neighbour) => self.learn(&[neighbour]),
                    NeighbourNews::Missed => self.read_neighbours(&netlink).await,
                },
                Some(reload) = reloads.recv() => if self.reload(reload) {
                    settled = Some(Instant::now());
                },
                // The first of a burst of changes sets the time; the rest is read with it.
                Some(news) = changes.next() => {
                    match news {
                        News::Gone(index) => self.lost(index),
                        news => self.arrived(news),
                    }
                    settled.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {
                    settled = None;
                    match netlink.network().await {
                        Ok(network) => self.network_changed(&network),
                        Err(error) => {
                            warn!("{error}");
                            settled = Some(Instant::now() + SECOND);
                        }
                    }
                }
            }
        }
    }

    /// Another hour begins.
    pub(super) fn next_hour(&mut self) {
        self.due.push(Due::Prune);
        self.open.next_hour();
    }

    /// Takes up to [`BATCH`] events out of the ring, to ledger and store. While a query holds the
    /// ledger they wait in `pending`, and beyond its bound in the ring.
    pub(super) fn drain(&mut self) -> usize {
        self.follow_clock();
        let booted = self.clock.origin();
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
        self.datapath.release(self.shared.store.position());
        let idle = self.pending.is_empty() && self.learned.is_empty() && self.due.is_empty();
        if !idle || self.shared.is_forgetting() {
            let shared = Arc::clone(&self.shared);
            if let Some(ledger) = shared.ledger_if_free() {
                self.feed(ledger);
            }
        }
        drained.events + drained.invalid
    }

    /// Takes what the ring holds, and waits for the ledger; for the end. What goes on being seen is left
    /// to the next life.
    pub(super) fn drain_all(&mut self) {
        for _ in 0..self.settings.sizes.ring_bytes as usize / Event::SIZE / BATCH + 1 {
            let drained = self.drain();
            let shared = Arc::clone(&self.shared);
            self.feed(shared.ledger());
            if drained == 0 {
                break;
            }
        }
    }

    /// Hands the store what is fresh, less what is of no remote, with devices. It does not wait for
    /// the ledger: the store's queue takes what comes in a moment, not what comes during a long query.
    fn record(&mut self) {
        let mut batch = std::mem::take(&mut self.fresh);
        let events = batch.len();
        if events > 0 {
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
        self.redating.note(&batch);
        // Of what was drained nothing may count. One mark at a time then: a disk may stall for days.
        let has_moved = self.handed != self.datapath.position() && self.handed == self.shared.store.position();
        if !batch.is_empty() || has_moved {
            self.hand_over(batch);
        }
    }

    /// Hands the store all that came of the ring so far.
    pub(super) fn hand_over(&mut self, batch: Vec<Observation>) {
        let mark = self.datapath.mark(self.since);
        if self.writer.send_up_to(batch, mark) {
            self.handed = mark.position;
        }
    }

    /// The time by which the window ends and retention goes.
    pub(super) fn retained_at(&self) -> Time {
        let now = self.clock.now();
        self.shared.store.believed().map_or(now, |believed| believed.min(now))
    }

    /// Hands the ledger what waits for it.
    pub(super) fn feed(&mut self, mut ledger: MutexGuard<'_, Ledger>) {
        for due in std::mem::take(&mut self.due) {
            match due {
                Due::Home(home, at) => ledger.home_is(|address| home::is_home(&home, address), at),
                Due::Own(addresses, at) => {
                    for (address, temporary) in addresses {
                        if temporary {
                            ledger.mark_temporary(address, at);
                        } else {
                            ledger.mark_stable(address, at);
                        }
                    }
                }
                Due::Prune => ledger.prune(self.retained_at()),
            }
        }
        for observation in &std::mem::take(&mut self.pending) {
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
        // What waited may have been forgotten while it did: nobody has seen it in the ledger yet.
        for forget in &self.shared.forget_late(&mut ledger) {
            self.devices.forget(forget);
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

    /// Leaves the latest view for queries and metrics.
    pub(super) fn show(&mut self) {
        let (counters, now) = (self.datapath.counters(), Instant::now());
        let loss = counters.as_ref().ok().and_then(|counters| self.alarm.loss(counters, now));
        for line in loss.into_iter().chain(self.alarm.silence(self.drained, now)) {
            warn!("{line}");
        }
        self.store_log.look(&self.shared.store);
        let mut seen = self.shared.seen();
        match counters {
            Ok(counters) => seen.counters = counters,
            Err(error) => warn!("{error}"),
        }
        seen.drained = self.drained;
        seen.silent_for = self.alarm.silent_for(now);
        seen.invalid = self.invalid;
        seen.set_aside = self.set_aside;
        seen.last_event = self.last_event;
    }
}
