//! The sensor: takes in events and news of the network, and hands on what it learns.
//!
//! Nothing here waits for a disk or for a query that holds the ledger: the store has a queue of its own, and the
//! ledger gets its backlog when it is free.

use std::sync::{Arc, MutexGuard};

use anyhow::Result;
use sensor_common::wire::Event;
use tattler_core::home::{HomePrefix, NetworkState, News};
use tattler_core::ledger::Ledger;
use tokio::time::Instant;
use tracing::{info, warn};

use super::backlog::{Backlog, Due};
use super::devices::Devices;
use super::excluded::Excluded;
use super::home::HomeNetwork;
use super::programs::{KernelPrograms, Takeover};
use super::rebuild::{LedgerRebuild, RebuildState};
use super::ring::Intake;
use super::uplinks::Uplinks;
use crate::agent::clock::EventClock;
use crate::agent::notices::Notices;
use crate::agent::serve::edits;
use crate::agent::settings::{Reload, SensorSettings};
use crate::agent::state::Shared;
use crate::datapath::AttachError;
use crate::device_names;
use crate::netlink::Neighbour;
use crate::store::{DeviceKey, Writer};

/// Events taken out of the ring in one turn, so that a flood leaves time for everything else.
pub const BATCH: usize = 4_096;

/// Everything that the loop owns.
pub struct Sensor<P> {
    settings: SensorSettings,
    key: DeviceKey,
    clock: EventClock,
    shared: Arc<Shared>,
    intake: Intake<P>,
    /// What an earlier run left, until the first uplink is attached.
    takeover: Option<Takeover>,
    uplinks: Uplinks,
    home: HomeNetwork,
    devices: Devices,
    excluded: Excluded,
    backlog: Backlog,
    rebuild: LedgerRebuild,
    notices: Notices,
}

impl<P: KernelPrograms> Sensor<P> {
    /// A sensor that watches no uplink yet.
    pub fn new(
        settings: SensorSettings,
        programs: P,
        takeover: Takeover,
        clock: EventClock,
        writer: Writer,
        shared: Arc<Shared>,
        key: DeviceKey,
    ) -> Result<Sensor<P>> {
        let (names, keep_mac) = (key.clone(), settings.keep_mac);
        let name = Box::new(move |mac| names.name(mac, keep_mac));
        let notices = Notices::new(&programs.counters()?, &shared.ledger(), Instant::now());
        Ok(Sensor {
            uplinks: Uplinks::new(&settings.interfaces)?,
            home: HomeNetwork { told: settings.home.clone(), ..HomeNetwork::default() },
            devices: Devices::new(name, &settings.exclusions.devices),
            intake: Intake::new(programs, writer, (clock.look)().boot),
            settings,
            key,
            clock,
            shared,
            takeover: Some(takeover),
            excluded: Excluded::default(),
            backlog: Backlog::default(),
            rebuild: LedgerRebuild::default(),
            notices,
        })
    }

    /// Attaches to the uplinks that are there, at the start. Fails if the programs can't be loaded, or if another tattler
    /// watches an uplink: waiting would not help.
    pub fn start(&mut self, network: &NetworkState) -> Result<()> {
        let mut failed = self.follow_network(network);
        let is_final = |error: &AttachError| {
            matches!(error, AttachError::Load(_) | AttachError::Busy { pins: Some(_), .. } | AttachError::Twice(_))
        };
        if let Some(at) = failed.iter().position(is_final) {
            return Err(failed.remove(at).into());
        }
        failed.iter().for_each(log_failure);
        // A next process has to know this one, whether events come or not.
        self.intake.hand_over(Vec::new());
        // From now on this process stores what is in the ring, and what is attached may stay.
        self.intake.programs.begin();
        Ok(())
    }

    /// Starts another hour.
    pub fn next_hour(&mut self) {
        self.backlog.due.push(Due::Prune);
        self.notices.open_ports.next_hour();
    }

    /// Takes up to [`BATCH`] events out of the ring, for ledger and store. While a query holds the ledger they wait
    /// in the backlog, and when that is full in the ring. Returns how many records there were.
    pub fn drain(&mut self) -> usize {
        self.follow_clock();
        let (most, origin) = (BATCH.min(self.backlog.room()), self.clock.origin);
        let drained = self.intake.drain(most, origin, &self.settings.exclusions);
        self.record();
        if (!self.backlog.is_empty() || self.shared.is_forgetting()) && !self.rebuild.is_running() {
            let shared = Arc::clone(&self.shared);
            if let Some(ledger) = shared.ledger_if_free() {
                self.feed(ledger);
            }
        }
        if let Some((addresses, outcome)) = self.excluded.turn(std::time::Instant::now()) {
            let shared = Arc::clone(&self.shared);
            // Without a thread the sender is dropped, which is noticed.
            let _ = std::thread::Builder::new().name("excluded".into()).spawn(move || {
                let _ = outcome.send(edits::forget_addresses(&shared, &addresses));
            });
        }
        drained
    }

    /// Completes what was drained with devices and hands it to store and backlog, less what is excluded.
    fn record(&mut self) {
        let home = self.home.prefixes.as_deref().unwrap_or_default();
        let mut batch = self.intake.take_fresh(home, &self.settings.nat64);
        let before = batch.len();
        let (devices, exclusions) = (&mut self.devices, &self.settings.exclusions);
        batch.retain_mut(|observation| {
            let device = devices.complete(observation);
            !exclusions.excludes_of(observation, device.as_deref())
        });
        self.intake.excluded += (before - batch.len()) as u64;
        self.backlog.observations.extend_from_slice(&batch);
        self.intake.record(batch, self.shared.store.position());
    }

    fn feed(&mut self, mut ledger: MutexGuard<'_, Ledger>) {
        let now = self.clock.now();
        let end = self.shared.store.believed().map_or(now, |believed| believed.min(now));
        self.backlog.feed(&mut ledger, end, &mut self.devices, &mut self.notices.open_ports);
        // What waited may have been forgotten meanwhile; no query has seen it in the ledger yet.
        if let Some(forget) = self.shared.forget_late(&mut ledger) {
            self.devices.forget(&forget);
        }
    }

    /// Takes over a step of the clock, and the ledger that is rebuilt after it. Observations that were sent to the
    /// store before are in the rebuilt ledger; later ones wait in the backlog.
    fn follow_clock(&mut self) {
        if self.rebuild.is_running() {
            let shared = Arc::clone(&self.shared);
            // If a query holds it, the next tick will do.
            let Some(mut ledger) = shared.ledger_if_free() else { return };
            match self.rebuild.poll(&mut ledger) {
                RebuildState::Waiting => {}
                RebuildState::StartOver => {
                    drop(ledger);
                    self.start_rebuild();
                }
                RebuildState::Done(stored) => {
                    // At the end the ledger is fed meanwhile, so that fewer may be left.
                    let stored = stored.min(self.backlog.observations.len());
                    self.backlog.observations.drain(..stored);
                    let (now, home) = (self.clock.now(), self.home.prefixes.clone());
                    self.backlog.due.extend(home.map(|home| Due::Home(home, now)));
                    self.backlog.due.push(Due::Own(self.home.own.clone(), now));
                    self.feed(ledger);
                }
            }
        } else if let Some(step) = self.clock.step((self.clock.look)()) {
            self.intake.shift(step);
            self.backlog.shift(step);
            self.devices.shift(step);
            self.rebuild.shift(step);
            {
                let mut view = self.shared.view();
                (view.started, view.clock_steps) = (view.started + step, self.clock.steps);
            }
            self.intake.writer.redate(step);
            self.start_rebuild();
        } else if self.rebuild.is_due() {
            self.start_rebuild();
        }
    }

    fn start_rebuild(&mut self) {
        let forgotten = self.shared.ledger_if_free().map(|ledger| ledger.revision().forgotten);
        self.rebuild.start(&self.settings, &self.intake.writer, self.backlog.observations.len(), forgotten);
    }

    /// Adds neighbours; the ledger learns their devices with the next events. Those on an uplink are not ours.
    pub fn learn(&mut self, neighbours: &[Neighbour]) {
        for neighbour in neighbours.iter().filter(|neighbour| !self.uplinks.has(neighbour.device)) {
            let Some((device, refresh)) = self.devices.learn(neighbour) else { continue };
            if self.devices.is_excluded(&device) {
                self.excluded.add(neighbour.address);
            } else {
                self.backlog.learned.push((neighbour.address, device));
                self.intake.fresh.extend(refresh);
            }
        }
    }

    /// Gives programs and ledger the home prefixes as they are now, and attaches to uplinks that are due. Returns
    /// what failed and was not logged before.
    pub fn follow_network(&mut self, network: &NetworkState) -> Vec<AttachError> {
        for index in self.uplinks.follow(network, Instant::now()) {
            self.intake.programs.detach(index);
        }
        let home = self.home.read(network, &self.uplinks.devices());
        self.set_home(home);
        self.devices.own(network.addresses.iter().map(|address| address.address));
        self.backlog.due.push(Due::Own(self.home.own.clone(), self.clock.now()));
        // After home, so that the first packet is judged by it.
        let (asked, programs) = (self.settings.attach, &mut self.intake.programs);
        let outcome = self.uplinks.attach(Instant::now(), |device| programs.attach(device, asked));
        if outcome.attached > 0 {
            // What was used while an uplink was not watched is unknown to the programs.
            let gapless = outcome.attached == outcome.adopted && self.uplinks.are_watched();
            let now = (self.clock.look)().boot;
            let takeover = self.takeover.take();
            let (since, lost) = takeover.map_or((now, 0), |takeover| takeover.settle(programs, gapless, now));
            self.shared.view().lost_between += lost;
            self.intake.watched_since(since);
        }
        self.shared.view().uplinks = self.uplinks.view();
        outcome.failed
    }

    fn set_home(&mut self, home: Vec<HomePrefix>) {
        if self.home.prefixes.as_ref() == Some(&home) {
            return;
        }
        if let Err(error) = self.intake.programs.set_home(&home) {
            warn!("{error}");
            return;
        }
        let ours: Vec<String> = home.iter().filter(|home| home.ours).map(|home| home.prefix.to_string()).collect();
        if ours.is_empty() {
            warn!("no home prefix yet: nothing is ours, so nothing is recorded");
        } else {
            info!(home = ours.join(" "), "home prefixes");
        }
        self.backlog.due.push(Due::Home(home.clone(), self.clock.now()));
        self.shared.view().home.clone_from(&home);
        self.home.prefixes = Some(home);
    }

    /// News of an address or a route.
    pub fn arrived(&mut self, news: News) {
        if let Some(home) = self.home.arrived(news) {
            self.set_home(home);
        }
    }

    /// A device is gone, and its links with it. They are dropped at once: a device that comes back under the same
    /// index is another one.
    pub fn lost(&mut self, index: u32) {
        if self.uplinks.gone(index, Instant::now()) {
            self.intake.programs.detach(index);
            self.shared.view().uplinks = self.uplinks.view();
        }
    }

    /// Whether an uplink is to be attached now.
    pub fn is_attach_due(&self) -> bool {
        self.uplinks.is_due(Instant::now())
    }

    /// Takes new settings over. Returns whether the network has to be read again.
    pub fn reload(&mut self, reload: Reload) -> bool {
        let new = match reload {
            Ok(new) => new,
            Err(problems) => {
                problems.iter().for_each(|problem| warn!("{problem}"));
                warn!("the configuration has problems; the sensor keeps the one it had");
                return false;
            }
        };
        let window = self.settings.window;
        let (changed, needs_restart) = self.settings.take_over(new);
        for key in &needs_restart {
            warn!("{key} has changed, which takes effect at the next start");
        }
        let SensorSettings { excluded_devices, keep_mac, names, public, .. } = &self.settings;
        self.shared.set_names(device_names::names(names, public, Some(&self.key)));
        self.settings.exclusions.devices = device_names::excluded_devices(excluded_devices, &self.key, *keep_mac);
        self.devices.exclude(&self.settings.exclusions.devices);
        if changed.is_empty() {
            let what = if needs_restart.is_empty() { "nothing" } else { "nothing else" };
            info!("configuration read again: {what} has changed");
            return false;
        }
        self.home.told.clone_from(&self.settings.home);
        self.intake.writer.keep(self.settings.store);
        let SensorSettings { public, window: new_window, .. } = &self.settings;
        self.backlog.due.push(Due::Settings { public: public.clone(), window: *new_window });
        // The figures were worked out with the old settings.
        *self.shared.worked_out() = None;
        if *new_window > window {
            info!("store.window_days is longer: the longer window takes effect at the next start");
        }
        info!(changed = changed.join(" "), "configuration reloaded");
        true
    }

    /// Leaves the latest view for queries and metrics, and feeds the watchdog.
    pub fn show(&mut self) {
        let (counters, now) = (self.intake.programs.counters(), Instant::now());
        let silent_for = self.notices.look(counters.as_ref().ok(), self.intake.drained, &self.shared.store, now);
        let programs = &self.intake.programs;
        self.notices.watchdog.feed(programs.position(), programs.is_waiting(), now);
        let mut view = self.shared.view();
        match counters {
            Ok(counters) => view.counters = counters,
            Err(error) => warn!("{error}"),
        }
        view.silent_for = silent_for;
        self.intake.show(&mut view);
    }

    /// Stops watching, unless the programs are to stay, and takes what the ring still holds, waiting for the ledger.
    /// Returns the programs and the writer, with how many events there were in all.
    pub fn stop(mut self) -> (P, Writer, u64) {
        if !self.settings.keep {
            // Detach first, then drain.
            for uplink in self.uplinks.devices() {
                self.intake.programs.detach(uplink.index);
            }
        }
        // What is seen after that is left to the next process.
        for _ in 0..self.settings.sizes.ring_bytes as usize / Event::SIZE / BATCH + 1 {
            let drained = self.drain();
            let shared = Arc::clone(&self.shared);
            self.feed(shared.ledger());
            if drained == 0 {
                break;
            }
        }
        (self.intake.programs, self.intake.writer, self.intake.drained)
    }
}

#[cfg(test)]
impl<P: KernelPrograms> Sensor<P> {
    /// The programs, whose ring a test fills.
    pub fn programs(&mut self) -> &mut P {
        &mut self.intake.programs
    }

    /// Has the store prune at once, as it does each hour.
    pub fn prune_store(&self) {
        self.intake.writer.keep(self.settings.store);
    }
}

/// An uplink that is not watched is tried again.
pub fn log_failure(error: &AttachError) {
    warn!("{error}; trying again, once a minute at least");
}
