//! The loop's latest view of itself, for queries and metrics.

use std::time::Duration;

use tattler_core::home::HomePrefix;
use tattler_core::time::Time;

use crate::datapath::{Attachment, Counters};

/// A second old at most.
#[derive(Clone, Debug, Default)]
pub struct SensorView {
    /// The uplinks.
    pub uplinks: UplinkView,
    /// The home prefixes.
    pub home: Vec<HomePrefix>,
    /// The programs' counters.
    pub counters: Counters,
    /// Events taken out of the ring.
    pub drained: u64,
    /// Records in the ring that none of our programs writes.
    pub invalid: u64,
    /// Events dropped because the remote is behind NAT64, or home.
    pub set_aside: u64,
    /// Events seen during an earlier run that were never stored and can no longer be read.
    pub lost_between: u64,
    /// Time since the latest event.
    pub silent_for: Duration,
    /// When the latest event was seen.
    pub last_event: Option<Time>,
}

/// The uplinks.
#[derive(Clone, Debug, Default)]
pub struct UplinkView {
    /// How each is attached, or was last.
    pub attached: Vec<Attachment>,
    /// The indices of those that are watched and up.
    pub up: Vec<u32>,
    /// One line for each uplink that is not watched.
    pub faults: Vec<String>,
    /// How often each change happened since the start.
    pub changes: UplinkChanges,
}

/// Counts in the order of [`UplinkChange::ALL`].
pub type UplinkChanges = [u64; UplinkChange::ALL.len()];

/// What can happen to an uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UplinkChange {
    /// The interface was removed, or another one has its name.
    Lost,
    /// It is watched, for the first time or again.
    Attached,
    /// The programs could not be attached to it.
    Failed,
    /// It was renamed, and stays watched.
    Renamed,
    /// It went down.
    Down,
    /// It came up.
    Up,
}

impl UplinkChange {
    /// All of them.
    pub const ALL: [UplinkChange; 6] = [
        UplinkChange::Lost,
        UplinkChange::Attached,
        UplinkChange::Failed,
        UplinkChange::Renamed,
        UplinkChange::Down,
        UplinkChange::Up,
    ];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            UplinkChange::Lost => "lost",
            UplinkChange::Attached => "attached",
            UplinkChange::Failed => "failed",
            UplinkChange::Renamed => "renamed",
            UplinkChange::Down => "down",
            UplinkChange::Up => "up",
        }
    }
}
