//! The answer to `status`.

use ipnet::Ipv6Net;
use sensor_common::GiveUp;
use sensor_common::counters::{Direction, Fate};
use sensor_common::wire::What;
use serde::{Deserialize, Serialize};
use tattler_core::report::{self, Exposed};
use tattler_core::time::Time;

use crate::agent::state::Shared;

/// Exposed services that are listed.
const LATEST: usize = 10;

/// The answer to `status`. A field that an older sensor does not have is read as its default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SensorStatus {
    /// `tattler.status/1`.
    pub schema: String,
    /// Of the running sensor.
    pub version: String,
    /// When it was started.
    pub started: Time,
    /// How often the wall clock was set since then.
    pub clock_steps: u64,
    /// The wall clock is far ahead of the time known before: for a day, nothing is deleted by it.
    pub clock_doubted: bool,
    /// The uplinks that are or were watched.
    pub uplinks: Vec<UplinkStatus>,
    /// One line for each uplink that is not watched, and one if there is none at all.
    pub unwatched: Vec<String>,
    /// The home prefixes, without those that are excluded.
    pub home: Vec<Ipv6Net>,
    /// Counts of contacts, probes and answers in the kernel.
    pub events: Vec<EventCounts>,
    /// Packets that the parser gave up on; reasons without any are left out.
    pub gave_up: Vec<GaveUp>,
    /// Records in the ring that none of our programs writes.
    pub invalid: u64,
    /// Events dropped because the remote is behind NAT64, or home.
    pub set_aside: u64,
    /// Events seen during an earlier run that were never stored and can no longer be read.
    pub lost_between: u64,
    /// Locals that answered a probe at an open port; public ones are left out.
    pub exposed_locals: u64,
    /// Services that answered probes: those open to strangers first, then the latest. Answers to pings are left out,
    /// since they open no port.
    pub exposed: Vec<Exposed>,
    /// Different locals that answered pings.
    pub answered_pings: u64,
    /// Locals seen in use within the window.
    pub locals: u64,
    /// Contacts within the window: local, remote, protocol and port.
    pub contacts: u64,
    /// Probes within the window: source, target, kind and port.
    pub probes: u64,
    /// Locals that left the window to make room, since the start.
    pub evicted_locals: u64,
    /// Contacts that left the window to make room, since the start.
    pub evicted_contacts: u64,
    /// Probes that left the window to make room, since the start.
    pub evicted_probes: u64,
    /// Of these, evidence of a leak.
    pub evicted_evidence: u64,
    /// The time of the ledger that the suspects in the metrics describe; null before there are any.
    pub suspects_as_of: Option<Time>,
    /// By how many seconds they are behind the ledger; 0 if it has not changed since.
    pub suspects_age_seconds: Option<f64>,
    /// The state directory.
    pub state: String,
    /// Observations that the store has taken, since the start.
    pub stored: u64,
    /// Observations that the store did not take, since the start.
    pub store_lost: u64,
    /// Rows deleted because they were older than the retention, since the start.
    pub store_pruned: u64,
    /// Rows deleted because there were too many, since the start.
    pub store_crowded_out: u64,
    /// Probes and answers that prove nothing and were not written, because their day had too many.
    pub store_capped: u64,
    /// Observations that the configuration excludes from being recorded, since the start.
    pub excluded: u64,
    /// The size of the database, in bytes.
    pub store_bytes: u64,
    /// Why the latest write to the store failed, if it did.
    pub store_failure: Option<String>,
    /// Attempts to write that failed, since the start.
    pub store_failed_writes: u64,
    /// Observations that are yet to be written.
    pub store_queued: u64,
    /// Databases that were found damaged and set aside, since the start.
    pub store_damaged: u64,
    /// Where the last of them is.
    pub store_damaged_file: Option<String>,
}

/// An interface that is or was watched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UplinkStatus {
    /// Its name.
    pub interface: String,
    /// `native`, `generic` or `tc`.
    pub mode: String,
    /// Whether it is there and up.
    pub up: bool,
}

/// Counts of one kind of event in the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventCounts {
    pub what: String,
    pub matched: u64,
    pub recorded: u64,
    pub held_back: u64,
    pub lost: u64,
}

/// How often the parser gave up for one reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GaveUp {
    pub direction: String,
    pub reason: String,
    pub packets: u64,
}

pub fn status(shared: &Shared) -> SensorStatus {
    let mut exposed;
    let (locals, contacts, probes, revision, counts) = {
        let ledger = shared.ledger();
        exposed = report::exposed(&ledger);
        let rows = (ledger.contacts().len() as u64, ledger.probes().len() as u64);
        (ledger.locals_in_use() as u64, rows.0, rows.1, ledger.revision(), ledger.counts())
    };
    let suspects = shared.worked_out().clone();
    let exposed_locals = report::open_locals(&exposed);
    let answered_pings = report::split_pings(&mut exposed);
    exposed.truncate(LATEST);
    let view = shared.view().clone();
    let uplinks = view.uplinks.attached.iter();
    let events = What::ALL.map(|what| EventCounts {
        what: what.as_str().to_owned(),
        matched: view.counters.fate(what, Fate::Matched),
        recorded: view.counters.fate(what, Fate::Recorded),
        held_back: view.counters.fate(what, Fate::HeldBack),
        lost: view.counters.fate(what, Fate::Lost),
    });
    let gave_up = Direction::ALL.into_iter().flat_map(|direction| {
        GiveUp::COUNTED.map(|reason| GaveUp {
            direction: direction.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            packets: view.counters.gave_up(direction, reason),
        })
    });
    SensorStatus {
        schema: "tattler.status/1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: view.started,
        clock_steps: view.clock_steps,
        clock_doubted: shared.store.believed().is_some(),
        uplinks: uplinks
            .map(|u| UplinkStatus {
                interface: u.device.name.clone(),
                mode: u.mode.as_str().to_owned(),
                up: view.uplinks.up.contains(&u.device.index),
            })
            .collect(),
        unwatched: view.uplinks.faults.clone(),
        home: view.home.iter().filter(|home| home.ours).map(|home| home.prefix).collect(),
        events: events.to_vec(),
        gave_up: gave_up.filter(|gave_up| gave_up.packets > 0).collect(),
        invalid: view.invalid,
        set_aside: view.set_aside,
        lost_between: view.lost_between,
        exposed_locals,
        exposed,
        answered_pings,
        locals,
        contacts,
        probes,
        evicted_locals: counts.evicted_locals,
        evicted_contacts: counts.evicted_contacts,
        evicted_probes: counts.evicted_probes,
        evicted_evidence: counts.evicted_evidence,
        suspects_as_of: suspects.as_ref().map(|suspects| suspects.as_of),
        suspects_age_seconds: suspects.map(|suspects| suspects.age(revision).seconds()),
        state: shared.state.display().to_string(),
        stored: shared.store.written(),
        store_lost: shared.store.lost(),
        store_pruned: shared.store.pruned(),
        store_crowded_out: shared.store.crowded_out(),
        store_capped: shared.store.capped(),
        excluded: view.excluded,
        store_bytes: shared.store.bytes(),
        store_failure: shared.store.failure(),
        store_failed_writes: shared.store.failed_writes(),
        store_queued: shared.store.queued(),
        store_damaged: shared.store.damaged(),
        store_damaged_file: shared.store.damaged_file(),
    }
}
