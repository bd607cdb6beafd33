//! The pages for Prometheus and for health checks.

use crate::agent::state::{Shared, UplinkChanges};
use crate::agent::suspects;
use crate::metrics::{self, LedgerMetrics, MetricsSnapshot, RingMetrics, StoreMetrics, UplinkMetrics};

/// The page for Prometheus.
pub fn metrics(shared: &Shared) -> String {
    let suspects = suspects::shown(shared);
    let (locals, contacts, probes, revision, counts) = {
        let ledger = shared.ledger();
        let rows = (ledger.contacts().len() as u64, ledger.probes().len() as u64);
        (ledger.locals_in_use() as u64, rows.0, rows.1, ledger.revision(), ledger.counts())
    };
    let figures = &suspects.figures;
    let view = shared.view().clone();
    let UplinkChanges { lost, attached, failed, renamed, down, up } = view.uplinks.changes;
    let snapshot = MetricsSnapshot {
        version: env!("CARGO_PKG_VERSION"),
        start: view.started,
        clock_steps: view.clock_steps,
        kernel: view.counters.all(),
        ring: RingMetrics {
            drained: view.drained,
            invalid: view.invalid,
            set_aside: view.set_aside,
            lost_between: view.lost_between,
            silent: view.silent_for.as_secs(),
            last_event: view.last_event,
        },
        uplinks: view
            .uplinks
            .attached
            .iter()
            .map(|u| UplinkMetrics {
                interface: u.device.name.clone(),
                mode: u.mode.as_str(),
                up: view.uplinks.up.contains(&u.device.index),
            })
            .collect(),
        uplink_changes: vec![
            ("lost", lost),
            ("attached", attached),
            ("failed", failed),
            ("renamed", renamed),
            ("down", down),
            ("up", up),
        ],
        home_prefixes: view.home.iter().filter(|home| home.ours).count() as u64,
        ledger: LedgerMetrics {
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
        suspects_age: suspects.age(revision).seconds() as u64,
        store: StoreMetrics {
            written: shared.store.written(),
            lost: shared.store.lost(),
            queued: shared.store.queued(),
            pruned: shared.store.pruned(),
            crowded_out: shared.store.crowded_out(),
            capped: shared.store.capped(),
            excluded: view.excluded,
            bytes: shared.store.bytes(),
            failing: shared.store.failure().is_some(),
            failed_writes: shared.store.failed_writes(),
            damaged: shared.store.damaged(),
        },
    };
    metrics::encode(&snapshot)
}

/// Whether the sensor watches all uplinks and stores what it sees; if not, why.
pub fn health(shared: &Shared) -> Result<(), String> {
    if let Some(failure) = shared.store.failure() {
        return Err(format!("the store can't write: {failure}"));
    }
    shared.view().uplinks.faults.first().cloned().map_or(Ok(()), Err)
}
