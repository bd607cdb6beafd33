//! Keeps the suspects up to date on a thread of its own, at a bounded share of one core. The ledger is held
//! only to copy the rows that changed.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tattler_core::ack;
use tattler_core::live_report::{LiveReport, Stale};

use super::clock;
use super::state::{Shared, WorkedOut};

/// How often the thread looks for something to do.
const TICK: Duration = Duration::from_secs(1);

/// Starts the thread. It ends when the sender is dropped.
///
/// # Errors
/// The system starts no thread.
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

/// Removes forgotten rows from the copy at once, without working the suspects out again.
pub(super) fn forget(shared: &Shared) {
    let mut live = shared.live();
    let mut ledger = shared.ledger();
    if live.stale(ledger.revision()) == Stale::Forgotten {
        live.follow(&mut ledger, clock::wall());
    }
}

/// The suspects by the ledger as it is now, whatever that costs.
pub(super) fn now(shared: &Shared) -> MutexGuard<'_, LiveReport> {
    let mut live = shared.live();
    bring_up_to_date(shared, &mut live);
    live
}

/// What the metrics show: brought up to date as often as its pace allows.
pub(super) fn shown(shared: &Shared) -> WorkedOut {
    let known = shared.worked_out().clone();
    let revision = shared.ledger().revision();
    match known {
        Some(known) if !known.is_due(revision) => known,
        _ => {
            let mut live = shared.live();
            // Another thread may have done it while we waited.
            let known = shared.worked_out().clone();
            known.filter(|known| !known.is_due(revision)).unwrap_or_else(|| bring_up_to_date(shared, &mut live))
        }
    }
}

fn bring_up_to_date(shared: &Shared, live: &mut LiveReport) -> WorkedOut {
    let start = Instant::now();
    let revision = {
        let mut ledger = shared.ledger();
        live.follow(&mut ledger, clock::wall());
        ledger.revision()
    };
    let before = shared.worked_out().clone();
    let has_changed = live.update();
    // Take this lock before reading the acks: a concurrent `ack` then clears our result after we store it.
    let mut shown = shared.worked_out();
    let (acks, now) = (shared.acks().clone(), clock::wall());
    let figures = live.overview(|members, prefix| ack::is_acked(&acks, members, prefix, now));
    let until = acks.iter().filter(|ack| ack.holds(now)).filter_map(|ack| ack.until).min();
    let (took, done) = match before {
        // Nothing had to be worked out again, so this counts as no update.
        Some(before) if !has_changed => (before.took, before.done),
        _ => (start.elapsed(), Instant::now()),
    };
    let suspects = WorkedOut { figures, as_of: live.as_of().unwrap_or(now), revision, until, took, done };
    *shown = Some(suspects.clone());
    suspects
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use sensor_common::{Kind, Proto};
    use tattler_core::forget::Forget;
    use tattler_core::ledger::{Ledger, LedgerSettings};
    use tattler_core::observation::{Contact, Observation, Probe};
    use tattler_core::report::ReportOptions;
    use tattler_core::time::{Span, Time};

    use super::super::state::EVIDENCE_PACE;
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
        let writer = Writer::start(Store::open(dir).unwrap(), store::StoreSettings::default()).unwrap();
        let mut ledger = Ledger::new(LedgerSettings::live());
        ledger.observe(&contact(0, 1));
        (Shared::new(Time(0), dir.to_owned(), &writer, Vec::new(), ledger, None), writer)
    }

    fn candidates(suspects: &WorkedOut) -> u64 {
        suspects.figures.by_verdict.iter().map(|row| row.1).sum()
    }

    #[test]
    fn metrics_follow_evidence_soon_contacts_later_and_a_question_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let age = |suspects: &WorkedOut| suspects.age(shared.ledger().revision());
        let first = shown(&shared);
        assert_eq!((candidates(&first), age(&first)), (0, Span(0)));
        shared.ledger().observe(&probe(10, 22));
        std::thread::sleep(first.took * EVIDENCE_PACE);
        let second = shown(&shared);
        assert_eq!((candidates(&second), age(&second)), (1, Span(0)));
        shared.ledger().observe(&contact(5, 2));
        let third = shown(&shared);
        assert_eq!(third.as_of, second.as_of, "contacts alone wait a minute");
        assert!(age(&third) > Span(0), "and the age is shown");
        assert_eq!(now(&shared).report(&ReportOptions::default()).candidates[0].members, [remote(1), remote(2)]);
        assert_eq!(age(&shown(&shared)), Span(0), "the metrics show what a question worked out");
    }

    #[test]
    fn forgetting_reaches_the_copy_of_the_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        assert_eq!(now(&shared).report(&ReportOptions::default()).locals, 1);
        shared.forget(&[Forget { prefix: Some(LOCAL.into()), ..Forget::default() }]);
        forget(&shared);
        assert_eq!(shared.live().report(&ReportOptions::default()).locals, 0);
    }
}
