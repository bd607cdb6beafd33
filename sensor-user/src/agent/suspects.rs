//! Keeps the suspects up to date while the sensor runs, at a bounded share of one core, and off its
//! loop: the ledger is held only to copy what changed.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::clock;
use super::shared::Shared;
use crate::ack;
use crate::ledger::Revision;
use crate::report::live::{Figures, Live, Stale};
use crate::time::{Span, Time};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(1);
/// After an update that took t, no other for so many t: 4 % of one core when there is new evidence,
/// half a percent when there are only contacts.
const EVIDENCE_PACE: u32 = 25;
const CONTACTS_PACE: u32 = 200;
/// Nor before so long, with contacts alone.
const CONTACTS_WAIT: Duration = Duration::from_secs(60);

/// What was worked out last, for the metrics.
#[derive(Clone, Debug)]
pub struct Suspects {
    /// By verdict, and what else takes a report.
    pub figures: Figures,
    /// When that was what the ledger says.
    pub as_of: Time,
    revision: Revision,
    /// When an acknowledgement ends, and the figures are others.
    until: Option<Time>,
    /// How long it took, and when it was done.
    took: Duration,
    done: Instant,
}

impl Suspects {
    /// How far it is behind the ledger, which is at `revision` now; 0 if nothing has come since.
    pub fn age(&self, revision: Revision) -> Span {
        if self.revision == revision { Span(0) } else { Span((clock::wall() - self.as_of).0.max(0)) }
    }

    fn is_due(&self, stale: Stale) -> bool {
        pause(stale, self.took).is_some_and(|pause| self.done.elapsed() >= pause)
            || self.until.is_some_and(|until| clock::wall() >= until)
    }
}

/// How long to wait after an update that took `took`; `None`: for ever.
fn pause(stale: Stale, took: Duration) -> Option<Duration> {
    match stale {
        Stale::Not => None,
        Stale::Contacts => Some((took * CONTACTS_PACE).max(CONTACTS_WAIT)),
        Stale::Evidence => Some(took * EVIDENCE_PACE),
        Stale::Forgotten => Some(Duration::ZERO),
    }
}

/// Starts the thread. It ends with the sender.
///
/// # Errors
/// The system has no room for a thread.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Sender<()>> {
    let (stop, stopped) = mpsc::channel();
    let shared = shared.clone();
    std::thread::Builder::new().name("suspects".into()).spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
            shown(&shared);
        }
    })?;
    Ok(stop)
}

/// What the ledger says now: who asks gets what is true now, whatever it costs.
pub(super) fn now(shared: &Shared) -> MutexGuard<'_, Live> {
    let mut live = shared.live();
    bring_up_to_date(shared, &mut live);
    live
}

/// What the metrics show: brought up to date as often as the pace allows.
pub(super) fn shown(shared: &Shared) -> Suspects {
    let known = shared.suspects().clone();
    let revision = shared.ledger().revision();
    let is_due = |known: &Suspects| known.is_due(Stale::of(known.revision, revision));
    match known {
        Some(known) if !is_due(&known) => known,
        _ => {
            let mut live = shared.live();
            // Somebody else may have done it while we waited.
            let known = shared.suspects().clone();
            known.filter(|known| !is_due(known)).unwrap_or_else(|| bring_up_to_date(shared, &mut live))
        }
    }
}

fn bring_up_to_date(shared: &Shared, live: &mut Live) -> Suspects {
    let start = Instant::now();
    let revision = {
        let mut ledger = shared.ledger();
        live.follow(&mut ledger, clock::wall());
        ledger.revision()
    };
    let before = shared.suspects().clone();
    let has_changed = live.update();
    // Held before acknowledgements are read: one that comes in between empties it after us.
    let mut shown = shared.suspects();
    // What was acknowledged must not ring an alarm every day.
    let (acks, now) = (shared.acks().clone(), clock::wall());
    let figures = live.figures(|members, prefix| ack::is_acked(&acks, members, prefix, now));
    let until = acks.iter().filter(|ack| ack.holds(now)).filter_map(|ack| ack.until).min();
    let (took, done) = match before {
        // To look and find nothing new is no update.
        Some(before) if !has_changed => (before.took, before.done),
        _ => (start.elapsed(), Instant::now()),
    };
    let suspects = Suspects { figures, as_of: live.as_of().unwrap_or(now), revision, until, took, done };
    *shown = Some(suspects.clone());
    suspects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_followed_by_a_pause_that_bounds_its_share_of_a_core() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(Stale::Not, second), None);
        for (stale, most) in [(Stale::Evidence, 0.04), (Stale::Contacts, 0.005)] {
            for took in [Duration::from_millis(5), second, 30 * second] {
                let pause = pause(stale, took).unwrap();
                assert!(took.as_secs_f64() / (took + pause).as_secs_f64() <= most, "{stale:?} {took:?}");
            }
        }
        assert_eq!(pause(Stale::Forgotten, second), Some(Duration::ZERO));
    }
}
