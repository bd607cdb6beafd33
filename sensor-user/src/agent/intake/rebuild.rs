//! Rebuilds the ledger after the clock was set.
//!
//! The store changes the dates of all rows of this boot in one transaction, after everything that was sent to it
//! before. The ledger is then rebuilt from the store on a thread, as at a start, while the loop goes on and the old
//! ledger answers; observations that arrive meanwhile are kept for the new one. In the ledger itself a row's first
//! time may be of an earlier boot and its last of this one, and telling them apart would cost memory in every row.

use std::mem;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::backlog::MOST;
use super::restore::{log_step, rebuild};
use crate::agent::clock;
use crate::agent::settings::SensorSettings;
use crate::store::{Reader, Store, Writer};
use tattler_core::ledger::Ledger;
use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};

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
    /// Observations since the store was read; `None` if these were too many, and it has to start over.
    since: Option<Vec<Observation>>,
    /// [`tattler_core::ledger::Revision::forgotten`] of the old ledger at the start.
    forgotten: u64,
}

/// The state of a rebuild.
pub enum Progress {
    /// It is still running, or has failed and is due again later.
    Waiting,
    /// Its result is of no use; start over.
    StartOver,
    /// The new ledger is in place, and these observations are not in it yet.
    Done(Vec<Observation>),
}

impl LedgerRebuild {
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether a failed rebuild is due again.
    pub fn is_due(&self) -> bool {
        self.again.is_some_and(|again| again <= Instant::now())
    }

    /// Notes observations that the new ledger can't have from the store.
    pub fn note(&mut self, batch: &[Observation]) {
        let Some(Running { since: kept, .. }) = &mut self.running else { return };
        let Some(since) = kept else { return };
        if since.len() + batch.len() > MOST {
            warn!("rebuilding the ledger after the clock change: too many events arrived meanwhile, starting over");
            *kept = None;
        } else {
            since.extend_from_slice(batch);
        }
    }

    /// Starts a rebuild, after the store has moved its dates of this boot by `step`. `forgotten` is the old ledger's
    /// count; without it the result is found to differ, and the rebuild starts over.
    pub fn start(&mut self, step: Span, settings: &SensorSettings, writer: &Writer, forgotten: Option<u64>) {
        let (sender, outcome) = channel();
        let settings = settings.clone();
        self.step = Span(self.step.0.saturating_add(step.0));
        self.again = None;
        self.running = Some(Running { outcome, since: Some(Vec::new()), forgotten: forgotten.unwrap_or(u64::MAX) });
        let read = move |found: Result<(&mut Store, u64), String>| {
            let opened = found.and_then(|(store, rows)| {
                if step != Span(0) {
                    log_step(step, rows);
                }
                let believed = store.believed_now(clock::wall()).map_err(|error| error.to_string())?;
                // The reader sees what is in the store now, and nothing later.
                let reader = Reader::open(&settings.state).map_err(|error| error.to_string())?;
                Ok((reader, believed))
            });
            let work = move || {
                let ledger = opened.and_then(|(reader, now)| {
                    rebuild(&settings, now, &mut |since, give| reader.replay(since, Time(i64::MAX), give))
                        .map_err(|error| error.to_string())
                });
                // The sensor may have stopped.
                let _ = sender.send(ledger);
            };
            // If no thread can be started, the sender is dropped, which is noticed.
            let _ = thread::Builder::new().name("rebuild".into()).spawn(work);
        };
        if step == Span(0) {
            writer.then(|store| read(store.map(|store| (store, 0))));
        } else {
            writer.redate(step, read);
        }
    }

    /// Replaces the ledger if the new one is ready.
    pub fn poll(&mut self, ledger: &mut Ledger) -> Progress {
        let Some(Running { outcome, since, forgotten }) = self.running.take() else { return Progress::Waiting };
        let new = match outcome.try_recv() {
            Err(TryRecvError::Empty) => {
                self.running = Some(Running { outcome, since, forgotten });
                return Progress::Waiting;
            }
            Ok(Ok(ledger)) => ledger,
            failed => {
                let why = failed.ok().and_then(Result::err).unwrap_or_else(|| "no thread".to_owned());
                warn!("the ledger is not rebuilt yet after the clock change: {why}; trying again");
                self.again = Some(Instant::now() + AGAIN);
                return Progress::Waiting;
            }
        };
        // Otherwise rows are missing, or were forgotten meanwhile, or the settings have changed.
        let is_current = ledger.revision().forgotten == forgotten && ledger.settings() == new.settings();
        let Some(since) = since.filter(|_| is_current) else { return Progress::StartOver };
        let mut old = mem::replace(ledger, new);
        ledger.replace(&old, mem::take(&mut self.step));
        // Dropping millions of rows takes time, which nobody should wait for.
        let _ = thread::Builder::new().spawn(move || drop(mem::replace(&mut old, Ledger::copy())));
        info!("the ledger is rebuilt after the clock change");
        Progress::Done(since)
    }
}

#[cfg(test)]
#[path = "rebuild_tests.rs"]
mod tests;
