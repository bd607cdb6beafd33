//! Keeps the suspects up to date while the sensor runs, at a bounded share of one core, and off its
//! loop: the ledger is held only to copy what changed.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tattler_core::ack;
use tattler_core::ledger::Revision;
use tattler_core::live_report::{LiveReport, Overview, Stale};
use tattler_core::time::{Span, Time};

use super::clock;
use super::shared::Shared;

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
    pub figures: Overview,
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
        Stale::Evidence | Stale::Forgotten => Some(took * EVIDENCE_PACE),
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
            forget(&shared);
            shown(&shared);
        }
    })?;
    Ok(stop)
}

/// What was forgotten goes from the copy at once, whenever it is thought about next.
pub(super) fn forget(shared: &Shared) {
    let mut live = shared.live();
    let mut ledger = shared.ledger();
    if live.stale(ledger.revision()) == Stale::Forgotten {
        live.follow(&mut ledger, clock::wall());
    }
}

/// What the ledger says now: who asks gets what is true now, whatever it costs.
pub(super) fn now(shared: &Shared) -> MutexGuard<'_, LiveReport> {
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

fn bring_up_to_date(shared: &Shared, live: &mut LiveReport) -> Suspects {
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
    let figures = live.overview(|members, prefix| ack::is_acked(&acks, members, prefix, now));
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
    use std::net::Ipv6Addr;

    use sensor_common::{Kind, Proto};
    use tattler_core::forget::Forget;
    use tattler_core::ledger::{Ledger, Settings};
    use tattler_core::observation::{Contact, Observation, Probe};
    use tattler_core::report::Options;

    use super::*;
    use crate::store::{self, Store, Writer};

    const LOCAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x42, 1, 0xe014, 0x9aff, 0x5e49, 0xecb3);

    fn remote(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2a05, 0, 0, 0, 0, 0, 0, n)
    }

    fn contact(ts: i64, n: u16) -> Observation {
        Observation::Contact(Contact::new(Time::from_seconds(ts), LOCAL, remote(n), Proto::Tcp, 443))
    }

    fn probe(ts: i64, port: u16) -> Observation {
        Observation::Probe(Probe::new(Time::from_seconds(ts), remote(0xffff), LOCAL, Kind::Syn, port))
    }

    /// A sensor's memory of one contact.
    fn sensor(dir: &std::path::Path) -> (Shared, Writer) {
        let writer = Writer::start(Store::open(dir).unwrap(), store::Settings::default()).unwrap();
        let mut ledger = Ledger::new(Settings::live());
        ledger.observe(&contact(0, 1));
        (Shared::new(Time(0), dir.to_owned(), &writer, Vec::new(), ledger), writer)
    }

    fn candidates(suspects: &Suspects) -> u64 {
        suspects.figures.by_verdict.iter().map(|row| row.1).sum()
    }

    #[test]
    fn what_is_shown_follows_evidence_soon_contacts_later_and_whoever_asks_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let age = |suspects: &Suspects| suspects.age(shared.ledger().revision());
        let first = shown(&shared);
        assert_eq!((candidates(&first), age(&first)), (0, Span(0)));
        shared.ledger().observe(&probe(10, 22));
        std::thread::sleep(first.took * EVIDENCE_PACE);
        let second = shown(&shared);
        assert_eq!((candidates(&second), age(&second)), (1, Span(0)));
        shared.ledger().observe(&contact(5, 2));
        let third = shown(&shared);
        assert_eq!(third.as_of, second.as_of, "contacts alone wait a minute");
        assert!(age(&third) > Span(0), "and meanwhile it is told how old it is");
        assert_eq!(now(&shared).report(&Options::default()).candidates[0].members, [remote(1), remote(2)]);
        assert_eq!(age(&shown(&shared)), Span(0), "what was worked out for a question is shown too");
    }

    #[test]
    fn what_is_forgotten_is_forgotten_beside_the_ledger_too() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        assert_eq!(now(&shared).report(&Options::default()).locals, 1);
        shared.forget(&[Forget { prefix: Some(LOCAL.into()), ..Forget::default() }]);
        forget(&shared);
        assert_eq!(shared.live().report(&Options::default()).locals, 0);
    }

    #[test]
    fn an_update_is_followed_by_a_pause_that_bounds_its_share_of_a_core() {
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
