//! Which interfaces are watched, from the start until the sensor stops.
//!
//! An uplink given by name is waited for by that name; one found by the default route, by its name and by the
//! route. A device that leads out once stays an uplink while it exists: a route that fails over for a minute
//! must not make the provider's network home. An interface that does not exist yet, or to which the programs
//! can't be attached yet, is no error: it is waited for, and shown as a fault.

use std::fmt::Display;

use anyhow::{Result, bail};
use tattler_core::home::{NetworkDevice, NetworkState};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use crate::agent::state::{UplinkChange, UplinkChanges, UplinkView};
use crate::datapath::Attachment;

/// The wait after the first failed attempt; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Interfaces listed in a warning.
const LISTED: usize = 20;
/// IFNAMSIZ - 1.
const LONGEST_NAME: usize = 15;

/// All uplinks.
pub struct Uplinks {
    list: Vec<Uplink>,
    /// The default routes decide, not names.
    by_route: bool,
    /// Those that are there at the start were attached.
    started: bool,
    changes: UplinkChanges,
}

struct Uplink {
    /// The name to wait for.
    name: String,
    /// The device that has the name, or had it last.
    device: Option<NetworkDevice>,
    sight: Sight,
    up: bool,
    /// How it is or was attached last.
    attachment: Option<Attachment>,
}

/// Whether packets are seen.
enum Sight {
    Watched,
    /// There is no such device.
    Absent {
        /// When sight was lost; `None` if there never was one.
        since: Option<Instant>,
    },
    /// The device is there, and the programs have to be attached.
    Due {
        /// When sight was lost; `None` if there was none yet.
        since: Option<Instant>,
        at: Instant,
        pause: Duration,
        why: Option<String>,
    },
}

/// The outcome of [`Uplinks::attach`].
pub struct Attached<E> {
    /// Devices to which the programs were attached.
    pub attached: usize,
    /// How many of these an earlier run had watched all the time.
    pub adopted: usize,
    /// Failures whose reason is new, to be logged once.
    pub failed: Vec<E>,
}

impl Uplink {
    fn new(name: &str) -> Uplink {
        let sight = Sight::Absent { since: None };
        Uplink { name: name.to_owned(), device: None, sight, up: false, attachment: None }
    }

    fn is_absent(&self) -> bool {
        matches!(self.sight, Sight::Absent { .. })
    }

    /// The device, if it is there.
    fn present(&self) -> Option<&NetworkDevice> {
        self.device.as_ref().filter(|_| !self.is_absent())
    }

    fn is(&self, index: u32) -> bool {
        self.present().is_some_and(|device| device.index == index)
    }

    fn lose(&mut self, now: Instant) {
        let since = match self.sight {
            Sight::Due { since, .. } | Sight::Absent { since } => since,
            Sight::Watched => Some(now),
        };
        self.sight = Sight::Absent { since };
    }

    fn appear(&mut self, device: &NetworkDevice, network: &NetworkState, now: Instant) {
        let since = match self.sight {
            Sight::Absent { since } => since,
            _ => None,
        };
        self.device = Some(device.clone());
        self.up = network.up.contains(&device.index);
        self.sight = Sight::Due { since, at: now, pause: PAUSE, why: None };
    }

    fn fault(&self) -> Option<String> {
        match &self.sight {
            Sight::Watched => None,
            Sight::Absent { since: None } => Some(format!("there is no interface {} yet: waiting for it", self.name)),
            Sight::Absent { .. } => Some(format!("{} is gone: nothing is seen there until it is back", self.name)),
            Sight::Due { why: Some(why), .. } => Some(why.clone()),
            Sight::Due { .. } => Some(format!("{} is not watched yet", self.name)),
        }
    }
}

impl Uplinks {
    /// The uplinks with these names; without any, those of the default routes. None is attached yet.
    ///
    /// # Errors
    /// A name that is given twice, or that no interface can have.
    pub fn new(names: &[String]) -> Result<Uplinks> {
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                bail!("--interface names {name} twice; name each interface once");
            }
            if !can_be_a_name(name) {
                bail!("there is no interface {name:?}, and no interface can have that name; `ip link` lists them");
            }
        }
        Ok(Uplinks {
            list: names.iter().map(|name| Uplink::new(name)).collect(),
            by_route: names.is_empty(),
            started: false,
            changes: UplinkChanges::default(),
        })
    }

    /// The devices, including those that are gone.
    pub fn devices(&self) -> Vec<NetworkDevice> {
        self.list.iter().filter_map(|uplink| uplink.device.clone()).collect()
    }

    /// Whether a device is an uplink.
    pub fn has(&self, index: u32) -> bool {
        self.list.iter().any(|uplink| uplink.device.as_ref().is_some_and(|device| device.index == index))
    }

    /// Whether all uplinks are watched.
    pub fn are_watched(&self) -> bool {
        !self.list.is_empty() && self.list.iter().all(|uplink| matches!(uplink.sight, Sight::Watched))
    }

    /// For queries and metrics.
    pub fn view(&self) -> UplinkView {
        let attached =
            |uplink: &Uplink| Some(Attachment { device: uplink.device.clone()?, ..uplink.attachment.clone()? });
        let up = |uplink: &&Uplink| uplink.up && matches!(uplink.sight, Sight::Watched);
        let mut faults: Vec<String> = self.list.iter().filter_map(Uplink::fault).collect();
        if self.list.is_empty() {
            faults.push("there is no IPv6 default route yet to find the uplink by: waiting for one".to_owned());
        }
        UplinkView {
            attached: self.list.iter().filter_map(attached).collect(),
            up: self.list.iter().filter(up).filter_map(|uplink| Some(uplink.present()?.index)).collect(),
            faults,
            changes: self.changes,
        }
    }

    /// A device is gone. Returns whether it was an uplink and has to be detached.
    pub fn gone(&mut self, index: u32, now: Instant) -> bool {
        let Some(uplink) = self.list.iter_mut().find(|uplink| uplink.is(index)) else { return false };
        uplink.lose(now);
        let name = uplink.device.as_ref().map_or(uplink.name.as_str(), |device| &device.name);
        warn!("{name} is gone: nothing is seen there until it is back");
        self.count(UplinkChange::Lost);
        true
    }

    /// Compares with the network as it is now. Returns the devices that have to be detached; those that appeared
    /// are due in [`Uplinks::attach`].
    pub fn follow(&mut self, network: &NetworkState, now: Instant) -> Vec<u32> {
        let mut detach = self.look_at_known(network, now);
        detach.extend(self.look_for_names(network, now));
        if self.by_route {
            self.look_for_routes(network, now);
        }
        if !self.started {
            self.warn_of_missing(network);
        }
        detach
    }

    /// At the start: a wrong name looks like an interface that comes later.
    fn warn_of_missing(&self, network: &NetworkState) {
        let names = network.devices.iter().map(|device| device.name.as_str()).filter(|&name| name != "lo");
        let there: Vec<&str> = names.take(LISTED).collect();
        for uplink in self.list.iter().filter(|uplink| uplink.is_absent()) {
            let Uplink { name, .. } = uplink;
            warn!("there is no interface {name} yet: waiting for it; there are: {}", there.join(", "));
        }
        if self.list.is_empty() {
            warn!(
                "there is no IPv6 default route yet to find the uplink by: waiting for one; --interface names an uplink without one, of: {}",
                there.join(", ")
            );
        }
    }

    fn look_at_known(&mut self, network: &NetworkState, now: Instant) -> Vec<u32> {
        let there = |index: u32| network.devices.iter().find(|device| device.index == index);
        let mut detach: Vec<u32> = self.list.iter().filter_map(|uplink| Some(uplink.present()?.index)).collect();
        detach.retain(|&index| there(index).is_none());
        detach.retain(|&index| self.gone(index, now));
        let mut changes = Vec::new();
        for uplink in self.list.iter_mut().filter(|uplink| !uplink.is_absent()) {
            let Some(before) = uplink.device.as_ref() else { continue };
            let Some(device) = there(before.index) else { continue };
            if before.name != device.name {
                info!(interface = device.name, was = before.name, "renamed, and still watched");
                changes.push(UplinkChange::Renamed);
                if self.by_route {
                    uplink.name.clone_from(&device.name);
                }
            }
            uplink.device = Some(device.clone());
            let up = network.up.contains(&device.index);
            if std::mem::replace(&mut uplink.up, up) != up {
                info!(interface = device.name, "{}", if up { "up again" } else { "down" });
                changes.push(if up { UplinkChange::Up } else { UplinkChange::Down });
            }
        }
        changes.into_iter().for_each(|change| self.count(change));
        detach
    }

    /// A device that has the name of an uplink is that uplink, unless it is another uplink that was renamed.
    fn look_for_names(&mut self, network: &NetworkState, now: Instant) -> Vec<u32> {
        let mut detach = Vec::new();
        for at in 0..self.list.len() {
            let Some(device) = network.device(&self.list[at].name) else { continue };
            if self.list.iter().any(|uplink| uplink.is(device.index)) {
                continue;
            }
            let uplink = &mut self.list[at];
            if let Some(before) = uplink.present().cloned() {
                warn!("{} is no longer watched: {} is another interface now", before.name, device.name);
                detach.push(before.index);
                uplink.lose(now);
                self.changes[UplinkChange::Lost as usize] += 1;
            }
            self.list[at].appear(device, network, now);
        }
        detach
    }

    /// A device of a default route is an uplink. One that is gone is not waited for when there is another.
    fn look_for_routes(&mut self, network: &NetworkState, now: Instant) {
        for device in network.default_uplinks() {
            if self.list.iter().any(|uplink| uplink.is(device.index)) {
                continue;
            }
            let at = self.list.iter().position(Uplink::is_absent).unwrap_or_else(|| {
                self.list.push(Uplink::new(&device.name));
                self.list.len() - 1
            });
            self.list[at].name.clone_from(&device.name);
            self.list[at].appear(&device, network, now);
        }
        if self.list.iter().any(|uplink| !uplink.is_absent()) {
            self.list.retain(|uplink| !uplink.is_absent());
        }
    }

    /// Whether some uplink is to be attached now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.list.iter().any(|uplink| matches!(uplink.sight, Sight::Due { at, .. } if at <= now))
    }

    /// Attaches to those that are due. One that fails is tried again later, and stops no other.
    pub fn attach<E: Display>(
        &mut self,
        now: Instant,
        mut attach: impl FnMut(&NetworkDevice) -> Result<Attachment, E>,
    ) -> Attached<E> {
        let mut outcome = Attached { attached: 0, adopted: 0, failed: Vec::new() };
        for uplink in &mut self.list {
            let (Sight::Due { since, at, pause, why }, Some(device)) = (&mut uplink.sight, &uplink.device) else {
                continue;
            };
            if *at > now {
                continue;
            }
            match attach(device) {
                Ok(attachment) => {
                    let (interface, mode) = (&device.name, attachment.mode.as_str());
                    match since {
                        Some(since) => {
                            let unseen = format!("{:.1} s", now.duration_since(*since).as_secs_f64());
                            info!(interface, mode, unseen, "watching again");
                        }
                        None => info!(interface, mode, "watching"),
                    }
                    if let Some(reason) = &attachment.not_native {
                        warn!(interface, reason, "not in the driver");
                    }
                    outcome.attached += 1;
                    outcome.adopted += usize::from(attachment.adopted);
                    uplink.attachment = Some(attachment);
                    uplink.sight = Sight::Watched;
                    self.changes[UplinkChange::Attached as usize] += u64::from(self.started);
                }
                Err(error) => {
                    let reason = error.to_string();
                    *at = now + *pause;
                    *pause = (*pause * 2).min(LONGEST_PAUSE);
                    self.changes[UplinkChange::Failed as usize] += 1;
                    // It may stay the same for days.
                    if why.replace(reason.clone()) != Some(reason) {
                        outcome.failed.push(error);
                    }
                }
            }
        }
        self.started = true;
        outcome
    }

    fn count(&mut self, change: UplinkChange) {
        self.changes[change as usize] += 1;
    }
}

/// As the kernel's dev_valid_name.
fn can_be_a_name(name: &str) -> bool {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name != "." && name != "..";
    fits && !name.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests;
