//! What a scrape by Prometheus and a look at the sensor's health show.

use std::sync::atomic::Ordering::Relaxed;

use super::follow::Change;
use super::shared::Shared;
use super::suspects;
use crate::metrics::{self, Ledger, Ring, Snapshot, Store, Uplink};

/// The page for Prometheus.
///
/// # Errors
/// One line that says why there is none.
pub fn metrics(shared: &Shared) -> Result<String, String> {
    let suspects = suspects::shown(shared);
    let (locals, contacts, probes, revision, counts) = {
        let ledger = shared.ledger();
        let rows = (ledger.contacts().len() as u64, ledger.probes().len() as u64);
        (ledger.locals_in_use() as u64, rows.0, rows.1, ledger.revision(), ledger.counts())
    };
    let age = suspects.age(revision).seconds();
    let figures = suspects.figures;
    let seen = shared.seen().clone();
    let snapshot = Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        start: shared.started(),
        clock_steps: shared.clock_steps(),
        kernel: seen.counters.all(),
        ring: Ring {
            drained: seen.drained,
            invalid: seen.invalid,
            set_aside: seen.set_aside,
            lost_between: seen.lost_between,
            silent: seen.silent_for.as_secs(),
            last_event: seen.last_event,
        },
        uplinks: seen
            .uplinks
            .iter()
            .map(|u| Uplink {
                interface: u.device.name.clone(),
                mode: u.mode.as_str(),
                up: seen.up.contains(&u.device.index),
            })
            .collect(),
        uplink_changes: Change::ALL.map(|change| (change.as_str(), seen.changes[change as usize])).to_vec(),
        home_prefixes: seen.home.iter().filter(|home| home.ours).count() as u64,
        ledger: Ledger {
            locals,
            contacts,
            probes,
            campaigns: figures.campaigns,
            evicted: [
                ("local", counts.evicted_locals),
                ("contact", counts.evicted_contacts),
                ("probe", counts.evicted_probes - counts.evicted_evidence),
                ("evidence", counts.evicted_evidence),
            ],
        },
        exposed_locals: figures.exposed_locals,
        suspects: figures.by_verdict.iter().map(|&(verdict, n)| (verdict.as_str(), n)).collect(),
        suspects_age: age as u64,
        store: Store {
            written: shared.store.written(),
            lost: shared.store.lost(),
            queued: shared.store.queued(),
            pruned: shared.store.pruned(),
            crowded_out: shared.store.crowded_out(),
            capped: shared.store.capped(),
            excluded: shared.excluded.load(Relaxed),
            bytes: shared.store.bytes(),
            failing: shared.store.failure().is_some(),
            failed_writes: shared.store.failed_writes(),
            damaged: shared.store.damaged(),
        },
    };
    metrics::encode(&snapshot).map_err(|error| format!("cannot write the metrics: {error}"))
}

/// Whether the sensor does its work.
///
/// # Errors
/// One line that says why not.
pub fn health(shared: &Shared) -> Result<(), String> {
    if let Some(failure) = shared.store.failure() {
        return Err(format!("the store can't write: {failure}"));
    }
    match shared.seen().faults.first() {
        Some(fault) => Err(fault.clone()),
        None => Ok(()),
    }
}
