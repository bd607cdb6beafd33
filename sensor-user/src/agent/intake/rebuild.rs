//! Rebuilds the ledger after the clock was set.
//!
//! The store changes the dates of all rows of this boot in one transaction. The ledger is then rebuilt from the
//! store on a thread, as at a start: its rows mix times of this boot and of earlier ones, and telling them apart
//! would cost memory in each row. Meanwhile the old ledger answers queries, and observations wait in the backlog,
//! as they do while a query holds the ledger.

use std::mem;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tattler_core::ledger::Ledger;
use tattler_core::time::{Span, Time};
use tracing::{info, warn};

use super::restore::{empty, fill};
use crate::agent::clock;
use crate::agent::settings::SensorSettings;
use crate::store::{Reader, Writer};

/// The wait after a failure (a full disk, as a rule).
const AGAIN: Duration = Duration::from_secs(30);

/// A rebuild of the ledger that is running, or due.
#[derive(Default)]
pub struct LedgerRebuild {
    running: Option<Running>,
    /// When to start again after a failure.
    again: Option<Instant>,
    /// By how much the dates in the old ledger are behind.
    step: Span,
}

struct Running {
    outcome: Receiver<Result<Ledger, String>>,
    /// How many of the observations in the backlog are in the store that the new ledger is built from.
    stored: usize,
    /// [`tattler_core::ledger::Revision::forgotten`] of the old ledger at the start.
    forgotten: u64,
}

/// The state of a rebuild.
pub enum RebuildState {
    /// It is still running, or has failed and is due again later.
    Waiting,
    /// Its result is of no use; start over.
    StartOver,
    /// The new ledger is in place, and has so many of the observations in the backlog.
    Done(usize),
}

impl LedgerRebuild {
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether a failed rebuild is due again.
    pub fn is_due(&self) -> bool {
        self.again.is_some_and(|again| again <= Instant::now())
    }

    /// The clock was set: the dates in the old ledger are behind by `step`.
    pub fn shift(&mut self, step: Span) {
        self.step = Span(self.step.0.saturating_add(step.0));
    }

    /// Starts a rebuild from the store as it is after everything that was sent to it, the `waiting` observations of
    /// the backlog included. `forgotten` is the old ledger's count; without it the result is found to differ, and
    /// the rebuild starts over.
    pub fn start(&mut self, settings: &SensorSettings, writer: &Writer, waiting: usize, forgotten: Option<u64>) {
        let (sender, outcome) = channel();
        let settings = settings.clone();
        self.again = None;
        self.running = Some(Running { outcome, stored: waiting, forgotten: forgotten.unwrap_or(u64::MAX) });
        writer.then(move |store| {
            // What is in the store now and nothing later, and the end of the window.
            let opened = store.and_then(|store| {
                let now = store.believed_now(clock::wall()).map_err(|error| error.to_string())?;
                Ok((Reader::open(&settings.state).map_err(|error| error.to_string())?, now))
            });
            let work = move || {
                let ledger = opened.and_then(|(reader, now)| {
                    let mut ledger = empty(&settings);
                    fill(&mut ledger, &settings, now, |since, give| reader.replay(since, Time(i64::MAX), give))
                        .map_err(|error| error.to_string())?;
                    Ok(ledger)
                });
                // The sensor may have stopped.
                let _ = sender.send(ledger);
            };
            // If no thread can be started, the sender is dropped, which is noticed.
            let _ = thread::Builder::new().name("rebuild".into()).spawn(work);
        });
    }

    /// Replaces the ledger if the new one is ready.
    pub fn poll(&mut self, ledger: &mut Ledger) -> RebuildState {
        let Some(Running { outcome, stored, forgotten }) = &self.running else { return RebuildState::Waiting };
        let (outcome, stored, forgotten) = (outcome.try_recv(), *stored, *forgotten);
        if matches!(outcome, Err(TryRecvError::Empty)) {
            return RebuildState::Waiting;
        }
        self.running = None;
        let new = match outcome {
            Ok(Ok(ledger)) => ledger,
            failed => {
                let why = failed.ok().and_then(Result::err).unwrap_or_else(|| "no thread".to_owned());
                let seconds = AGAIN.as_secs();
                warn!("cannot rebuild the ledger after the clock was set: {why}; trying again in {seconds} s");
                self.again = Some(Instant::now() + AGAIN);
                return RebuildState::Waiting;
            }
        };
        // The new ledger must not bring back what was forgotten meanwhile, nor use old settings.
        if ledger.revision().forgotten != forgotten || ledger.settings() != new.settings() {
            return RebuildState::StartOver;
        }
        let old = mem::replace(ledger, new);
        ledger.replace(&old, mem::take(&mut self.step));
        // The loop does not wait until millions of rows are freed.
        let _ = thread::Builder::new().spawn(move || drop(old));
        info!("the ledger is rebuilt with the new dates");
        RebuildState::Done(stored)
    }
}

#[cfg(test)]
#[path = "rebuild_tests.rs"]
mod tests;
