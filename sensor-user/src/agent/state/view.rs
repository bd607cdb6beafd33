//! The loop's latest view of itself, for queries and metrics.

use std::time::Duration;

use tattler_core::home::HomePrefix;
use tattler_core::time::Time;

use crate::datapath::{Attachment, Counters};

/// A second old at most.
#[derive(Clone, Debug, Default)]
pub struct SensorView {
    /// When this process started.
    pub started: Time,
    /// How often the wall clock was set since then.
    pub clock_steps: u64,
    pub uplinks: UplinkView,
    pub home: Vec<HomePrefix>,
    pub counters: Counters,
    /// Events taken out of the ring.
    pub drained: u64,
    /// Records in the ring that none of our programs writes.
    pub invalid: u64,
    /// Events dropped because the remote is behind NAT64, or home.
    pub set_aside: u64,
    /// Observations that the configuration excludes from being recorded.
    pub excluded: u64,
    /// Events seen during an earlier run that were never stored and can no longer be read.
    pub lost_between: u64,
    /// Time since the latest event.
    pub silent_for: Duration,
    /// When the latest event was seen.
    pub last_event: Option<Time>,
}

#[derive(Clone, Debug, Default)]
pub struct UplinkView {
    /// How each is attached, or was last.
    pub attached: Vec<Attachment>,
    /// The indices of those that are watched and up.
    pub up: Vec<u32>,
    /// One line for each uplink that is not watched.
    pub faults: Vec<String>,
    pub changes: UplinkChanges,
}

/// How often each change of an uplink happened since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct UplinkChanges {
    /// The interface was removed, or another one has its name.
    pub lost: u64,
    /// It is watched, for the first time or again.
    pub attached: u64,
    /// The programs could not be attached to it.
    pub failed: u64,
    /// It was renamed, and stays watched.
    pub renamed: u64,
    /// It went down.
    pub down: u64,
    /// It came up.
    pub up: u64,
}
