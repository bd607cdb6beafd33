//! What a scrape by Prometheus and a look at the sensor's health show.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::clock;
use super::shared::Shared;
use crate::ack;
use crate::attribution::Verdict;
use crate::metrics::{self, Ledger, Ring, Snapshot, Store, Uplink};
use crate::report::{self, Options};

/// A report for the metrics may be so old: attribution looks at the whole ledger.
const FRESH: Duration = Duration::from_secs(10);

/// Figures that take a report.
#[derive(Clone, Debug)]
pub struct Suspects {
    made: Instant,
    campaigns: u64,
    by_verdict: Vec<(&'static str, u64)>,
    exposed_locals: u64,
}

/// The page for Prometheus.
///
/// # Errors
/// One line that says why there is none.
pub fn metrics(shared: &Shared) -> Result<String, String> {
    let suspects = suspects(shared);
    let (locals, contacts, probes) = {
        let ledger = shared.ledger();
        (ledger.locals_in_use() as u64, ledger.contacts().len() as u64, ledger.probes().len() as u64)
    };
    let seen = shared.seen().clone();
    let snapshot = Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        start: shared.started,
        kernel: seen.counters.all(),
        ring: Ring {
            drained: seen.drained,
            invalid: seen.invalid,
            set_aside: seen.set_aside,
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
        home_prefixes: seen.home.iter().filter(|home| home.ours).count() as u64,
        ledger: Ledger { locals, contacts, probes, campaigns: suspects.campaigns },
        exposed_locals: suspects.exposed_locals,
        suspects: suspects.by_verdict,
        store: Store {
            written: shared.store.written(),
            lost: shared.store.lost(),
            queued: shared.store.queued(),
            pruned: shared.store.pruned(),
            crowded_out: shared.store.crowded_out(),
            excluded: shared.excluded.load(Relaxed),
            bytes: shared.store.bytes(),
            failing: shared.store.failure().is_some(),
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
    let seen = shared.seen();
    match seen.uplinks.iter().find(|uplink| seen.gone.contains(&uplink.device.index)) {
        Some(uplink) => Err(format!("{} is gone; start the sensor again when it is back", uplink.device.name)),
        None => Ok(()),
    }
}

fn suspects(shared: &Shared) -> Suspects {
    if let Some(known) = shared.suspects().clone().filter(|known| known.made.elapsed() < FRESH) {
        return known;
    }
    let (mut report, exposed) = {
        let ledger = shared.ledger();
        (report::report(&ledger, &Options { top: 0 }), report::exposed(&ledger))
    };
    ack::mark(&mut report, &shared.acks(), clock::wall());
    // What was acknowledged must not ring an alarm every day.
    let open = || report.candidates.iter().filter(|candidate| candidate.acked.is_none());
    let count = |verdict| open().filter(|candidate| candidate.verdict == verdict).count() as u64;
    let suspects = Suspects {
        made: Instant::now(),
        exposed_locals: report::open_locals(&exposed),
        campaigns: report.campaigns.len() as u64,
        by_verdict: Verdict::ALL.iter().map(|&verdict| (verdict.as_str(), count(verdict))).collect(),
    };
    *shared.suspects() = Some(suspects.clone());
    suspects
}
