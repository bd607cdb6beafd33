//! After the clock was set: moves the dates of everything observed since boot, in the store and in memory.
//!
//! The store does its part in one transaction. The ledger is then rebuilt from the store on a thread, as at a
//! start: its rows mix times of this boot and of earlier ones, and telling them apart would cost memory in each
//! row. Meanwhile the old ledger answers queries, and observations wait in `pending`, as they do while a query
//! holds the ledger.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tattler_core::ledger::Ledger;
use tattler_core::time::{Span, Time};
use tracing::{info, warn};

use super::begin;
use super::clock;
use super::programs::Programs;
use super::sensor::{Due, Sensor};
use crate::store::{Reader, Store};

/// Between two attempts; the usual failure is a full disk.
const RETRY: Duration = Duration::from_secs(30);

/// A rebuild of the ledger: under way, or due.
#[derive(Default)]
pub struct Redating {
    /// Delivers the new ledger, or why there is none.
    under_way: Option<Receiver<Result<Ledger, String>>>,
    /// So many of the observations that wait for the ledger are in the store that the new one is built from.
    stored: usize,
    retry_at: Option<Instant>,
    /// How far the dates in the old ledger are behind.
    step: Span,
    /// How often the old ledger had forgotten something when the rebuild began.
    forgotten: u64,
}

impl Redating {
    /// Whether observations have to wait for the new ledger.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }
}

impl<P: Programs> Sensor<P> {
    /// Looks whether the clock was set, and takes the step over.
    pub(super) fn follow_clock(&mut self) {
        if self.redating.is_under_way() {
            self.finish_redating();
        } else if let Some(step) = self.clock.step(self.clock.look()) {
            self.set_clock(step);
        } else if self.redating.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.begin_redating();
        }
    }

    fn set_clock(&mut self, step: Span) {
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
        self.writer.redate(step);
        self.begin_redating();
    }

    fn begin_redating(&mut self) {
        let (sender, receiver) = channel();
        // If a query holds the ledger, this number matches none, and the rebuild is done twice.
        let forgotten = self.shared.ledger_if_free().map_or(u64::MAX, |ledger| ledger.revision().forgotten);
        let Redating { step, .. } = self.redating;
        // All that waits was sent to the store before.
        self.redating =
            Redating { under_way: Some(receiver), stored: self.pending.len(), retry_at: None, step, forgotten };
        let settings = self.settings.clone();
        self.writer.then(move |store| {
            let opened = store.and_then(|store| snapshot(store, &settings.state));
            let rebuild = move || {
                let ledger = opened.and_then(|(reader, now)| {
                    let mut replay = |since, give: &mut dyn FnMut(_)| reader.replay(since, Time(i64::MAX), give);
                    begin::rebuild(&settings, now, &mut replay).map_err(|error| error.to_string())
                });
                // The sensor may have ended.
                let _ = sender.send(ledger);
            };
            // Without a thread the sender is dropped, and the receiver notices.
            let _ = thread::Builder::new().name("redate".into()).spawn(rebuild);
        });
    }

    fn finish_redating(&mut self) {
        let shared = Arc::clone(&self.shared);
        // A query holds it: the next tick looks again.
        let Some(mut ledger) = shared.ledger_if_free() else { return };
        let Some(receiver) = &self.redating.under_way else { return };
        let new = match receiver.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(Ok(new)) => new,
            failed => {
                let why = failed.ok().and_then(Result::err).unwrap_or_else(|| "no thread".to_owned());
                let seconds = RETRY.as_secs();
                warn!("cannot rebuild the ledger after the clock was set: {why}; trying again in {seconds} s");
                self.redating.under_way = None;
                self.redating.retry_at = Some(Instant::now() + RETRY);
                return;
            }
        };
        // The new ledger must not bring back what was forgotten meanwhile, nor go by old settings.
        if ledger.revision().forgotten != self.redating.forgotten || ledger.settings() != new.settings() {
            drop(ledger);
            self.begin_redating();
            return;
        }
        let Redating { stored, step, .. } = mem::take(&mut self.redating);
        let old = mem::replace(&mut *ledger, new);
        ledger.replace(&old, step);
        self.pending.drain(..stored.min(self.pending.len()));
        if let Some(home) = &self.home {
            self.due.push(Due::Home(home.clone(), self.clock.now()));
        }
        self.due.push(Due::Own(self.own.clone(), self.clock.now()));
        self.feed(ledger);
        // The loop does not wait until millions of rows are freed.
        let _ = thread::Builder::new().spawn(move || drop(old));
        info!("the ledger is rebuilt with the new dates");
    }
}

/// What is in the store now and nothing later, and the time that retention goes by.
fn snapshot(store: &Store, state: &Path) -> Result<(Reader, Time), String> {
    let believed = store.believed_now(clock::wall()).map_err(|error| error.to_string())?;
    let reader = Reader::open(state).map_err(|error| error.to_string())?;
    Ok((reader, believed))
}

#[cfg(test)]
#[path = "redate_tests.rs"]
mod tests;
