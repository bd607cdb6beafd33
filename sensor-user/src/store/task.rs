//! The writing thread: batches become transactions, old and excess rows are deleted, a damaged database is replaced.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};

use super::counters::{StoreCounters, WORK, WRITE};
use super::writer::{Message, StoreSettings};
use super::{Belief, Store, WriteError};
use crate::mark::Mark;

/// Number of pending observations at which they are written immediately. Larger transactions would not be cheaper per
/// observation.
const ENOUGH: usize = 10_000;
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Maximum number of rows per table and step of a deletion. The thread handles its messages between two steps.
const PRUNE_ROWS: u32 = 5_000;
/// Time between two attempts to wipe traces of forgotten rows, in multiples of the latency: 30 s by default.
const WIPE_EVERY: u32 = 60;
/// Minimum time between two replacements of a damaged database, in case the disk damages every new database.
const REPLACE_EVERY: Duration = Duration::from_secs(60);

/// The state of the writing thread.
pub(super) struct Task {
    pub(super) store: Store,
    pub(super) counters: Arc<StoreCounters>,
    pub(super) settings: StoreSettings,
    /// Observations that were taken from the channel, but are not written yet. They still count as queued.
    pub(super) pending: Vec<Observation>,
    /// The step by which the next write moves the dates of this boot's rows, before it writes new rows.
    pub(super) step: Span,
    /// The mark that will be written together with `pending`.
    pub(super) mark: Option<Mark>,
    /// Whether the database was too large after the latest write.
    pub(super) too_large: bool,
    /// Time of the last replacement of a damaged database.
    pub(super) replaced_at: Option<Instant>,
    pub(super) belief: Belief,
    /// The time since boot at the last reading of the clock.
    pub(super) looked: Span,
    /// Time of the next attempt to wipe traces of forgotten rows. `None` if there are no traces.
    pub(super) wipe_at: Option<Instant>,
}

impl Task {
    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
        let mut prune_at = Instant::now();
        self.plan_wipe();
        match self.store.belief() {
            Ok(belief) => self.belief = belief,
            Err(error) => tracing::warn!("{error}; retention uses the wall clock"),
        }
        // Time of the next write. Used only while a write is pending.
        let mut write_at = prune_at;
        loop {
            let wake = if self.is_idle() { prune_at } else { write_at.min(prune_at) };
            let wake = self.wipe_at.map_or(wake, |wipe_at| wake.min(wipe_at));
            match receiver.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Message::Redate(step)) => {
                    self.pending.iter_mut().for_each(|observation| observation.shift(step));
                    self.step = Span(self.step.0.saturating_add(step.0));
                    (write_at, prune_at) = (Instant::now(), Instant::now());
                }
                Ok(Message::Do(work)) => {
                    if self.write() {
                        self.counters.watch.begin(WORK);
                        work(Ok(&mut self.store));
                        self.counters.watch.end();
                        self.plan_wipe();
                        if let Some(why) = self.store.suspicion() {
                            self.replace_damaged(&why);
                        }
                        self.counters.bytes.store(self.store.size(), Relaxed);
                    } else {
                        work(Err(self.counters.failure().unwrap_or_default()));
                        write_at = Instant::now() + self.settings.latency;
                    }
                }
                Ok(Message::Write(batch, mark)) => {
                    if self.is_idle() {
                        write_at = Instant::now() + self.settings.latency;
                    }
                    self.pending.extend(batch);
                    self.mark = mark.or(self.mark);
                }
                Ok(Message::Keep(StoreSettings { retention, most_bytes, .. })) => {
                    self.settings = StoreSettings { retention, most_bytes, ..self.settings };
                    prune_at = Instant::now();
                }
                Ok(Message::Damaged(before, why)) => {
                    if self.counters.damaged() == before {
                        self.replace_damaged(&why);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let healthy_and_many = self.pending.len() >= ENOUGH && self.counters.failure().is_none();
            if (healthy_and_many || Instant::now() >= write_at) && !self.write() {
                write_at = Instant::now() + self.settings.latency;
            }
            // If the database is too large, rows are deleted now, not only at the next hourly deletion.
            if std::mem::take(&mut self.too_large) {
                prune_at = Instant::now();
            }
            if Instant::now() >= prune_at && self.prune() {
                prune_at = Instant::now() + PRUNE_EVERY;
            }
            if self.wipe_at.is_some_and(|at| Instant::now() >= at) {
                self.wipe();
            }
        }
        if !self.write() {
            let lost = self.pending.len() as u64;
            self.counters.queued.fetch_sub(lost, Relaxed);
            self.counters.lost.fetch_add(lost, Relaxed);
        }
    }

    /// Whether no write is pending.
    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.mark.is_none() && self.step == Span(0)
    }

    /// Writes all pending data. Returns whether the write succeeded.
    fn write(&mut self) -> bool {
        if self.is_idle() {
            return true;
        }
        // A move of the dates of a whole boot takes longer than a write.
        self.counters.watch.begin(if self.step == Span(0) { WRITE } else { WORK });
        let step = self.step;
        let outcome = self.store.append_after(step, &self.pending, self.mark.as_ref());
        self.counters.watch.end();
        match outcome {
            Ok(rows) => {
                if let Some(mark) = self.mark.take() {
                    self.counters.position.store(mark.position, Relaxed);
                }
                let taken = self.pending.len() as u64;
                let capped = self.store.cap.as_ref().map_or(0, |cap| cap.left_out);
                let left_out = capped - self.counters.capped.swap(capped, Relaxed);
                if left_out > 0 && left_out == capped {
                    let most = self.settings.unproven_a_day;
                    tracing::warn!(
                        "{most} probes and answers were written today: more of them are only counted, unless they are evidence"
                    );
                }
                self.pending.clear();
                if std::mem::take(&mut self.step) != Span(0) {
                    let now = (self.settings.clock)();
                    tracing::info!(
                        "the clock was set from {} to {now}: {rows} observations of this boot redated",
                        now - step
                    );
                }
                self.counters.queued.fetch_sub(taken, Relaxed);
                self.counters.written.fetch_add(taken - left_out, Relaxed);
                self.counters.bytes.store(self.store.size(), Relaxed);
                self.too_large = self.store.used().is_ok_and(|used| used > self.settings.most_bytes);
                if self.counters.set_failure(None).is_some() {
                    tracing::info!("the store can be written again");
                }
                true
            }
            Err(error) => {
                self.counters.failed_writes.fetch_add(1, Relaxed);
                if let WriteError::Damaged { source, .. } = &error
                    && self.replace_damaged(source)
                {
                    return self.write();
                }
                self.fails(&error);
                false
            }
        }
    }

    /// Schedules another wipe if the files still contain traces of forgotten rows, for example because an export was
    /// reading the database.
    fn plan_wipe(&mut self) {
        self.wipe_at = self.store.has_traces().then(|| Instant::now() + self.settings.latency * WIPE_EVERY);
    }

    fn wipe(&mut self) {
        self.counters.watch.begin(WORK);
        let wiped = self.store.wipe_traces();
        self.counters.watch.end();
        match wiped {
            Ok(()) => tracing::info!("no traces of forgotten rows are left in {}", self.store.path().display()),
            Err(error) => tracing::debug!("{error}"),
        }
        self.plan_wipe();
        self.counters.bytes.store(self.store.size(), Relaxed);
    }

    /// Logs the first of several failures in a row.
    fn fails(&self, error: &dyn std::fmt::Display) {
        if self.counters.set_failure(Some(error.to_string())).is_none() {
            tracing::warn!("{error}; observations are kept in memory while there is room");
        }
    }

    /// Sets the database aside and creates a new database. Returns whether the replacement succeeded.
    fn replace_damaged(&mut self, why: &dyn std::fmt::Display) -> bool {
        if self.replaced_at.is_some_and(|at| at.elapsed() < REPLACE_EVERY) {
            return false;
        }
        match self.store.replace_damaged(why, (self.settings.clock)()) {
            Ok(aside) => {
                self.replaced_at = Some(Instant::now());
                tracing::warn!("{aside}");
                self.counters.see_damaged(&self.store);
                let now = self.now();
                self.tidy(now);
                true
            }
            Err(error) => {
                self.fails(&error);
                false
            }
        }
    }

    fn tidy(&self, now: Time) {
        let StoreSettings { retention, most_bytes, .. } = self.settings;
        if let Err(error) = self.store.tidy(now, retention, most_bytes) {
            tracing::warn!("cannot delete an old damaged database in {}: {error}", self.store.path().display());
        }
    }

    /// The time that retention uses.
    fn now(&mut self) -> Time {
        let ran = (self.settings.ran)();
        let passed = Span((ran.0 - self.looked.0).max(0));
        self.looked = ran;
        let before = self.belief;
        let now = self.belief.now((self.settings.clock)(), passed);
        if self.belief.doubts() && !before.doubts() {
            tracing::warn!(
                "the clock is far ahead of {now}, the last believed time: it deletes no old rows until it has run for a day"
            );
        }
        self.counters.believed.store(if self.belief.doubts() { now.0 } else { i64::MAX }, Relaxed);
        if let Err(error) = self.store.believe(self.belief) {
            tracing::warn!("{error}");
        }
        // If the clock was just set, rows of this boot still have old dates, and would appear too old by the new time.
        self.store.boot.map_or(now, |boot| now.min(boot.origin + ran))
    }

    /// Deletes a part of the old and excess rows. Returns `true` if the deletion is complete, or must wait for the next
    /// scheduled time.
    fn prune(&mut self) -> bool {
        // Rows of this boot do not have their new dates yet.
        if self.step != Span(0) {
            return true;
        }
        self.counters.watch.begin(WRITE);
        let outcome = self.prune_some();
        self.counters.watch.end();
        match outcome {
            Ok(done) => done,
            Err(WriteError::Damaged { source, .. }) if self.replace_damaged(&source) => true,
            Err(error) => {
                tracing::warn!("cannot delete old or excess rows: {error}");
                true
            }
        }
    }

    fn prune_some(&mut self) -> Result<bool, WriteError> {
        let now = self.now();
        match self.store.prune_some(now - self.settings.retention, PRUNE_ROWS)? {
            0 => {
                self.tidy(now);
                self.shrink()
            }
            rows => {
                self.counters.pruned.fetch_add(rows, Relaxed);
                Ok(false)
            }
        }
    }

    fn shrink(&mut self) -> Result<bool, WriteError> {
        let most = self.settings.most_bytes;
        let deleted = self.store.shrink_some(most, PRUNE_ROWS)?;
        let rows = deleted.unwrap_or(0);
        if rows > 0 && self.counters.crowded_out.fetch_add(rows, Relaxed) == 0 {
            tracing::warn!("the store is larger than {most} bytes: the rows that prove least are deleted");
        }
        self.counters.bytes.store(self.store.size(), Relaxed);
        Ok(deleted.is_none())
    }
}
