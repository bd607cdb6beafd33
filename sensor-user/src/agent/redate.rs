//! The clock was set: everything of this boot is dated anew, in the store and in memory.
//!
//! The store does its part in one transaction, after all that was sent to it before. What the ledger
//! then has to say is rebuilt from it on a thread, as at a start, while the loop goes on and the old
//! ledger answers; what comes meanwhile is kept for the new one. In the ledger itself a row's first time
//! may be of an earlier boot and its last of this one: to tell them apart there would cost every row.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tattler_core::ledger::Ledger;
use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};
use tracing::{info, warn};

use super::clock::{self, By};
use super::programs::Programs;
use super::sensor::{Due, MOST_PENDING, Sensor};
use crate::store::{Reader, Store};

/// After a failure (a full disk, as a rule), it is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// The new ledger, or why there is none.
type Rebuilt = Result<Ledger, String>;

/// A ledger that is being rebuilt, or is to be.
#[derive(Default)]
pub struct Redating {
    /// What comes of it, and what came since the store was looked at; `None` if that was too much, and it is to
    /// be begun again when the thread has ended.
    under_way: Option<(Receiver<Rebuilt>, Option<Vec<Observation>>)>,
    /// When it is begun anew.
    again: Option<Instant>,
    /// By how much the old ledger's own times are behind.
    step: Span,
    /// Times that the ledger was told to forget, before it was begun.
    forgotten: u64,
}

impl Redating {
    /// Notes what the new ledger has to learn beyond the store.
    pub fn note(&mut self, batch: &[Observation]) {
        let Some((_, kept)) = &mut self.under_way else { return };
        let Some(since) = kept else { return };
        if since.len() + batch.len() > MOST_PENDING {
            warn!("more came than a ledger that is dated anew can take up; it is begun again");
            *kept = None;
        } else {
            since.extend_from_slice(batch);
        }
    }
}

impl<P: Programs> Sensor<P> {
    /// Looks whether the clock was set, and takes it over.
    pub(super) fn follow_clock(&mut self) {
        if self.redating.under_way.is_some() {
            self.finish_redating();
        } else if let Some(step) = self.clock.step(self.clock.look()) {
            self.set_clock(step);
        } else if self.redating.again.is_some_and(|again| again <= Instant::now()) {
            self.begin_redating(Span(0));
        }
    }

    fn set_clock(&mut self, step: Span) {
        // What is between ring and store.
        self.fresh.iter_mut().for_each(|observation| observation.shift(step));
        self.pending.iter_mut().for_each(|observation| observation.shift(step));
        self.devices.shift(step);
        self.last_event = self.last_event.map(|time| time + step);
        for due in &mut self.due {
            if let Due::Home(_, at) | Due::Own(_, at) = due {
                *at = *at + step;
            }
        }
        self.redating.step = Span(self.redating.step.0.saturating_add(step.0));
        self.shared.clock_was_set(step, self.clock.steps());
        self.begin_redating(step);
    }

    fn begin_redating(&mut self, step: Span) {
        let (sender, receiver) = channel();
        let (settings, state) = (self.settings.clone(), self.settings.state.clone());
        self.redating.again = None;
        // A query may hold it: then it is found to differ, and begun again.
        self.redating.forgotten = self.shared.ledger_if_free().map_or(u64::MAX, |ledger| ledger.revision().forgotten);
        self.redating.under_way = Some((receiver, Some(Vec::new())));
        let read = move |found: Result<(&mut Store, u64), String>| {
            let opened = found.and_then(|(store, rows)| {
                if step != Span(0) {
                    tell(step, rows);
                }
                let believed = store.believed_now(clock::wall()).map_err(|error| error.to_string())?;
                // It sees what is in the store now, and nothing later.
                let reader = Reader::open(&state).map_err(|error| error.to_string())?;
                Ok((reader, believed))
            });
            let rebuild = move || {
                let ledger = opened.and_then(|(reader, now)| {
                    super::begin::rebuild(&settings, now, &mut |since, give| reader.replay(since, Time(i64::MAX), give))
                        .map_err(|error| error.to_string())
                });
                // The sensor may have ended.
                let _ = sender.send(ledger);
            };
            // Without a thread the sender is dropped, which is seen.
            let _ = thread::Builder::new().name("redate".into()).spawn(rebuild);
        };
        if step == Span(0) {
            self.writer.then(|store| read(store.map(|store| (store, 0))));
        } else {
            self.writer.redate(step, read);
        }
    }

    fn finish_redating(&mut self) {
        let shared = Arc::clone(&self.shared);
        // A query holds it: the next tick will do.
        let Some(mut ledger) = shared.ledger_if_free() else { return };
        let Some((receiver, since)) = self.redating.under_way.take() else { return };
        let new = match receiver.try_recv() {
            Err(TryRecvError::Empty) => {
                self.redating.under_way = Some((receiver, since));
                return;
            }
            Ok(Ok(ledger)) => ledger,
            failed => {
                let why = failed.ok().and_then(Result::err).unwrap_or_else(|| "no thread".to_owned());
                warn!("what is in memory is not dated anew yet: {why}");
                self.redating.again = Some(Instant::now() + AGAIN);
                return;
            }
        };
        let Some(since) = since else {
            drop(ledger);
            self.begin_redating(Span(0));
            return;
        };
        if ledger.revision().forgotten != self.redating.forgotten || ledger.settings() != new.settings() {
            // What the new one remembers is to be forgotten, or it goes by other settings.
            drop(ledger);
            self.begin_redating(Span(0));
            return;
        }
        let mut old = mem::replace(&mut *ledger, new);
        ledger.replace(&old, mem::take(&mut self.redating.step));
        // What waited is in the store, or came since.
        self.pending = since;
        if let Some(home) = &self.home {
            self.due.push(Due::Home(home.clone(), self.clock.now()));
        }
        self.due.push(Due::Own(self.own.clone(), self.clock.now()));
        self.feed(ledger);
        // Millions of rows: nobody waits for that.
        let _ = thread::Builder::new().spawn(move || drop(mem::replace(&mut old, Ledger::copy())));
        info!("what is in memory is dated anew too");
    }
}

/// One line for a step.
pub fn tell(step: Span, rows: u64) {
    info!("the clock was set {}: {} observations of this boot dated anew", By(step), thousands(rows));
}

/// `1,204`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_204, 1_000_000].map(thousands), ["0", "999", "1,204", "1,000,000"]);
    }
}

#[cfg(test)]
#[path = "redate_tests.rs"]
mod property;
