//! The suspects as they were worked out last, and when that is due again.

use std::time::{Duration, Instant};

use tattler_core::ledger::Revision;
use tattler_core::live_report::{Overview, Stale};
use tattler_core::time::{Span, Time};

use crate::agent::clock;

/// After an update that took t, wait this many t: 4 % of one core after new evidence, half a percent after
/// contacts alone.
pub const EVIDENCE_PACE: u32 = 25;
const CONTACTS_PACE: u32 = 200;
/// The shortest wait after contacts alone.
const CONTACTS_WAIT: Duration = Duration::from_secs(60);

/// The suspects as they were worked out last, for the metrics.
#[derive(Clone, Debug)]
pub struct WorkedOut {
    /// Counts by verdict, and other figures that take a report.
    pub figures: Overview,
    /// The time of the ledger's state that they describe.
    pub as_of: Time,
    /// The ledger's revision then.
    pub revision: Revision,
    /// When the next acknowledgement ends, which changes the figures.
    pub until: Option<Time>,
    /// How long the update took, and when it ended.
    pub took: Duration,
    pub done: Instant,
}

impl WorkedOut {
    /// How far they are behind a ledger that is at `revision` now; 0 if it has not changed since.
    pub fn age(&self, revision: Revision) -> Span {
        if self.revision == revision { Span(0) } else { Span((clock::wall() - self.as_of).0.max(0)) }
    }

    /// Whether an update is due, with the ledger at `revision` now.
    pub fn is_due(&self, revision: Revision) -> bool {
        pause(Stale::of(self.revision, revision), self.took).is_some_and(|pause| self.done.elapsed() >= pause)
            || self.until.is_some_and(|until| clock::wall() >= until)
    }
}

/// How long to wait after an update that took `took`; `None`: no update is needed.
fn pause(stale: Stale, took: Duration) -> Option<Duration> {
    match stale {
        Stale::Not => None,
        Stale::Contacts => Some((took * CONTACTS_PACE).max(CONTACTS_WAIT)),
        Stale::Evidence | Stale::Forgotten => Some(took * EVIDENCE_PACE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_after_an_update_bounds_its_share_of_a_core() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(Stale::Not, second), None);
        for (stale, most) in [(Stale::Evidence, 0.04), (Stale::Forgotten, 0.04), (Stale::Contacts, 0.005)] {
            for took in [Duration::from_millis(5), second, 30 * second] {
                let pause = pause(stale, took).unwrap();
                assert!(took.as_secs_f64() / (took + pause).as_secs_f64() <= most, "{stale:?} {took:?}");
            }
        }
    }
}
