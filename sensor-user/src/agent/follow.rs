//! The uplinks as they come and go.
//!
//! An uplink that was named is waited for by its name; one that was found by the default route, by its
//! name and by the route. A device that leads out once stays an uplink as long as it is there: a route
//! that fails over for a minute must not make the provider's network home. What is decided here comes
//! from netlink alone; the maps of the programs know nothing of it and stay.

use std::fmt::Display;

use tattler_core::home::{Device, Network};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use crate::datapath::Attachment;

/// How long to wait after the first attempt that failed; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What can become of an uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there no more, or its name is another device's.
    Lost,
    /// It is watched, again or anew.
    Attached,
    /// It is there, and could not be watched.
    Failed,
    /// It has another name, and is watched on.
    Renamed,
    /// It went down.
    Down,
    /// It came up.
    Up,
}

impl Change {
    /// All of them.
    pub const ALL: [Change; 6] =
        [Change::Lost, Change::Attached, Change::Failed, Change::Renamed, Change::Down, Change::Up];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Change::Lost => "lost",
            Change::Attached => "attached",
            Change::Failed => "failed",
            Change::Renamed => "renamed",
            Change::Down => "down",
            Change::Up => "up",
        }
    }
}

/// How many changes there were, in the order of [`Change::ALL`].
pub type Changes = [u64; Change::ALL.len()];

/// All uplinks.
pub(super) struct Uplinks {
    list: Vec<Uplink>,
    /// Whether the default routes tell which.
    by_route: bool,
    changes: Changes,
}

struct Uplink {
    /// The name to wait for.
    name: String,
    /// The device that has it, or had it last.
    device: Device,
    sight: Sight,
    up: bool,
    /// How it is or was attached last; `None` if it never was.
    attachment: Option<Attachment>,
}

/// Whether packets are seen.
enum Sight {
    Watched,
    /// There is no such device.
    Gone {
        since: Instant,
    },
    /// There is, and the programs have to be attached.
    Due {
        /// When the sight was lost; `None` if there was none yet.
        since: Option<Instant>,
        at: Instant,
        pause: Duration,
        why: Option<String>,
    },
}

impl Uplink {
    fn is_gone(&self) -> bool {
        matches!(self.sight, Sight::Gone { .. })
    }

    fn is(&self, index: u32) -> bool {
        !self.is_gone() && self.device.index == index
    }

    fn lose(&mut self, now: Instant) {
        let since = match self.sight {
            Sight::Due { since, .. } => since,
            _ => None,
        };
        self.sight = Sight::Gone { since: since.unwrap_or(now) };
    }

    fn appear(&mut self, device: &Device, network: &Network, now: Instant) {
        let since = match self.sight {
            Sight::Gone { since } => Some(since),
            _ => None,
        };
        self.device = device.clone();
        self.up = network.up.contains(&device.index);
        self.sight = Sight::Due { since, at: now, pause: PAUSE, why: None };
    }
}

impl Uplinks {
    /// As they were attached at the start; `by_route` if the default routes told which.
    pub(super) fn new(attachments: Vec<Attachment>, by_route: bool) -> Uplinks {
        let watched = |attachment: Attachment| Uplink {
            name: attachment.device.name.clone(),
            device: attachment.device.clone(),
            sight: Sight::Watched,
            up: true,
            attachment: Some(attachment),
        };
        Uplinks { list: attachments.into_iter().map(watched).collect(), by_route, changes: Changes::default() }
    }

    /// The devices, those that were there last included.
    pub(super) fn devices(&self) -> Vec<Device> {
        self.list.iter().map(|uplink| uplink.device.clone()).collect()
    }

    /// Whether a device is an uplink.
    pub(super) fn has(&self, index: u32) -> bool {
        self.list.iter().any(|uplink| uplink.device.index == index)
    }

    /// How they are attached, or were last.
    pub(super) fn attachments(&self) -> Vec<Attachment> {
        let attachment =
            |uplink: &Uplink| Some(Attachment { device: uplink.device.clone(), ..uplink.attachment.clone()? });
        self.list.iter().filter_map(attachment).collect()
    }

    /// The indices of those that are watched and up.
    pub(super) fn up(&self) -> Vec<u32> {
        let seen = self.list.iter().filter(|uplink| uplink.up && matches!(uplink.sight, Sight::Watched));
        seen.map(|uplink| uplink.device.index).collect()
    }

    /// One line for each that is not watched.
    pub(super) fn faults(&self) -> Vec<String> {
        let fault = |uplink: &Uplink| match &uplink.sight {
            Sight::Watched => None,
            Sight::Gone { .. } => Some(format!("{} is gone: nothing is seen there until it is back", uplink.name)),
            Sight::Due { why: Some(why), .. } => Some(why.clone()),
            Sight::Due { .. } => Some(format!("{} is not watched yet", uplink.device.name)),
        };
        self.list.iter().filter_map(fault).collect()
    }

    /// How many changes there were.
    pub(super) fn changes(&self) -> Changes {
        self.changes
    }

    /// Takes in that a device is gone. Returns whether it was watched, and has to be detached.
    pub(super) fn gone(&mut self, index: u32, now: Instant) -> bool {
        let Some(uplink) = self.list.iter_mut().find(|uplink| uplink.is(index)) else { return false };
        uplink.lose(now);
        warn!("{} is gone: nothing is seen there until it is back", uplink.device.name);
        self.count(Change::Lost);
        true
    }

    /// Takes in what the network is now. Returns the devices that have to be detached; those that
    /// appeared are due by [`Uplinks::attach`].
    pub(super) fn follow(&mut self, network: &Network, now: Instant) -> Vec<u32> {
        let mut detach = self.look_at_known(network, now);
        detach.extend(self.look_for_names(network, now));
        if self.by_route {
            self.look_for_routes(network, now);
        }
        detach
    }

    fn look_at_known(&mut self, network: &Network, now: Instant) -> Vec<u32> {
        let there = |index: u32| network.devices.iter().find(|device| device.index == index);
        let known = self.list.iter().filter(|uplink| !uplink.is_gone()).map(|uplink| uplink.device.index);
        let mut detach: Vec<u32> = known.filter(|&index| there(index).is_none()).collect();
        detach.retain(|&index| self.gone(index, now));
        let mut changes = Vec::new();
        for uplink in self.list.iter_mut().filter(|uplink| !uplink.is_gone()) {
            let Some(device) = there(uplink.device.index) else { continue };
            let was = std::mem::replace(&mut uplink.device, device.clone()).name;
            if was != device.name {
                info!(interface = device.name, was, "renamed, and watched on");
                changes.push(Change::Renamed);
                if self.by_route {
                    uplink.name.clone_from(&device.name);
                }
            }
            let up = network.up.contains(&device.index);
            if std::mem::replace(&mut uplink.up, up) != up {
                info!(interface = device.name, "{}", if up { "up again" } else { "down" });
                changes.push(if up { Change::Up } else { Change::Down });
            }
        }
        changes.into_iter().for_each(|change| self.count(change));
        detach
    }

    /// A device that has the name of an uplink is the uplink, unless it is another uplink that was
    /// renamed.
    fn look_for_names(&mut self, network: &Network, now: Instant) -> Vec<u32> {
        let mut detach = Vec::new();
        for at in 0..self.list.len() {
            let Some(device) = network.device(&self.list[at].name) else { continue };
            if self.list.iter().any(|uplink| uplink.is(device.index)) {
                continue;
            }
            let uplink = &mut self.list[at];
            if !uplink.is_gone() {
                warn!("{} is watched no more: {} is another interface now", uplink.device.name, device.name);
                detach.push(uplink.device.index);
                uplink.lose(now);
                self.changes[Change::Lost as usize] += 1;
            }
            self.list[at].appear(device, network, now);
        }
        detach
    }

    /// What leads out is an uplink. Who is gone is not waited for when there is another.
    fn look_for_routes(&mut self, network: &Network, now: Instant) {
        for device in network.default_uplinks() {
            if self.list.iter().any(|uplink| uplink.is(device.index)) {
                continue;
            }
            let name = device.name.clone();
            match self.list.iter_mut().find(|uplink| uplink.is_gone()) {
                Some(uplink) => {
                    uplink.name = name;
                    uplink.appear(&device, network, now);
                }
                None => {
                    let sight = Sight::Due { since: None, at: now, pause: PAUSE, why: None };
                    let up = network.up.contains(&device.index);
                    self.list.push(Uplink { name, device, sight, up, attachment: None });
                }
            }
        }
        if self.list.iter().any(|uplink| !uplink.is_gone()) {
            self.list.retain(|uplink| !uplink.is_gone());
        }
    }

    /// Whether some uplink is to be attached now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.list.iter().any(|uplink| matches!(uplink.sight, Sight::Due { at, .. } if at <= now))
    }

    /// Attaches to those that are due. One that fails is tried again, and stops no other.
    pub(super) fn attach<E: Display>(
        &mut self,
        now: Instant,
        mut attach: impl FnMut(&Device) -> Result<Attachment, E>,
    ) {
        for uplink in &mut self.list {
            let Sight::Due { since, at, pause, why } = &mut uplink.sight else { continue };
            if *at > now {
                continue;
            }
            match attach(&uplink.device) {
                Ok(attachment) => {
                    let (interface, mode) = (&uplink.device.name, attachment.mode.as_str());
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
                    uplink.attachment = Some(attachment);
                    uplink.sight = Sight::Watched;
                    self.changes[Change::Attached as usize] += 1;
                }
                Err(error) => {
                    let error = error.to_string();
                    // Once for each reason: it may stay for days.
                    if why.as_ref() != Some(&error) {
                        warn!("{error}; trying again, once a minute at least");
                    }
                    *why = Some(error);
                    *at = now + *pause;
                    *pause = (*pause * 2).min(LONGEST_PAUSE);
                    self.changes[Change::Failed as usize] += 1;
                }
            }
        }
    }

    fn count(&mut self, change: Change) {
        self.changes[change as usize] += 1;
    }
}

#[cfg(test)]
mod tests;
