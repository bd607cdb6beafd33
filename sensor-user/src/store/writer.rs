//! The queue of the writing thread. Callers of the queue never wait: if the disk stalls, observations are lost and
//! counted, and the ring is still read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};

use super::counters::StoreCounters;
use super::task::Task;
use super::worths::Cap;
use super::{Belief, Store};
use crate::mark::Mark;
use crate::system_clock;

/// The settings of a [`Writer`].
#[derive(Clone, Copy, Debug)]
pub struct StoreSettings {
    /// The time for which observations are collected for one transaction, and the pause after a failed write.
    pub latency: Duration,
    /// Maximum number of observations in the queue, including the observations of a failed write. Further observations
    /// are lost.
    pub capacity: u64,
    /// The age after which rows are deleted. Old rows are deleted at start and every hour.
    pub retention: Span,
    /// Maximum number of bytes that rows use. Beyond the limit, the rows of least worth are deleted.
    pub most_bytes: u64,
    /// The limit for rows of probes and answers per day. Evidence of leaks is written even beyond the limit.
    pub unproven_a_day: u64,
    /// Maximum time for which [`Writer::finish`] waits for the disk.
    pub patience: Duration,
    /// The wall clock, which retention uses as far as it is [believed](Belief).
    pub clock: fn() -> Time,
    /// The time since boot, including suspend.
    pub ran: fn() -> Span,
}

impl Default for StoreSettings {
    fn default() -> StoreSettings {
        StoreSettings {
            latency: Duration::from_millis(500),
            capacity: 100_000,
            retention: super::RETENTION,
            most_bytes: super::MOST_BYTES,
            unproven_a_day: super::UNPROVEN_A_DAY,
            patience: Duration::from_secs(10),
            clock: system_clock::wall,
            ran: system_clock::since_boot,
        }
    }
}

/// The result of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterSummary {
    /// Number of observations that were written to the database.
    pub written: u64,
    /// Number of observations that could not be written.
    pub lost: u64,
    /// Reason for a failure of the last write. `None` if the last write succeeded.
    pub failure: Option<String>,
}

/// Work on the store. The work receives an error instead of the store if the store can't be written.
type Work = Box<dyn FnOnce(Result<&mut Store, String>) + Send>;

/// A message to the writing thread.
pub(super) enum Message {
    Write(Vec<Observation>, Option<Mark>),
    /// The work runs after all earlier observations are written. If they can't be written, the work receives the error.
    Do(Work),
    /// Moves the dates of this boot's rows, and of the observations that were sent earlier.
    Redate(Span),
    /// Changes the retention and the limit in bytes.
    Keep(StoreSettings),
    /// A reader found damage: the value of [`StoreCounters::damaged`] when the reader was opened, and the damage.
    Damaged(u64, String),
    End,
}

/// A handle to run work on the store, between two writes of the writing thread.
#[derive(Clone)]
pub struct StoreHandle(Sender<Message>);

impl StoreHandle {
    /// Runs `action` on the writing thread, after all earlier observations are written, and waits for the result.
    ///
    /// # Errors
    /// One line: the store can't be written, or the thread has ended.
    pub fn with<T: Send + 'static>(&self, action: impl FnOnce(&mut Store) -> T + Send + 'static) -> Result<T, String> {
        let (sender, receiver) = channel();
        let work = move |store: Result<&mut Store, String>| {
            let _ = sender.send(store.map(action));
        };
        let ended = || "the sensor is stopping".to_owned();
        self.0.send(Message::Do(Box::new(work))).map_err(|_| ended())?;
        receiver.recv().map_err(|_| ended())?
    }

    /// Reports damage that a reader found, so that the database is set aside. `before` is the value of
    /// [`StoreCounters::damaged`] when the reader was opened. If the value has changed, the database was already
    /// replaced.
    pub fn found_damage(&self, before: u64, why: String) {
        // If the thread has ended, the next start finds the damage.
        let _ = self.0.send(Message::Damaged(before, why));
    }
}

/// The owner of the writing thread. A drop of the writer writes the queued observations, like [`Writer::finish`].
pub struct Writer {
    /// `None` after [`Message::End`] was sent.
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<StoreCounters>,
    capacity: u64,
    patience: Duration,
}

impl Writer {
    /// Starts the writing thread, which then owns the store.
    pub fn start(mut store: Store, settings: StoreSettings) -> io::Result<Writer> {
        store.cap = Some(Cap::new(settings.unproven_a_day));
        let counters = Arc::new(StoreCounters { believed: AtomicI64::new(i64::MAX), ..StoreCounters::default() });
        counters.bytes.store(store.size(), Relaxed);
        counters.see_damaged(&store);
        let (sender, receiver) = channel();
        let task = Task {
            store,
            counters: Arc::clone(&counters),
            settings,
            pending: Vec::new(),
            mark: None,
            step: Span(0),
            too_large: false,
            replaced_at: None,
            belief: Belief::default(),
            looked: (settings.ran)(),
            wipe_at: None,
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || task.run(&receiver))?;
        let StoreSettings { capacity, patience, .. } = settings;
        Ok(Writer { sender: Some(sender), thread: Some(thread), counters, capacity, patience })
    }

    /// The counters of the thread.
    #[must_use]
    pub fn counters(&self) -> Arc<StoreCounters> {
        Arc::clone(&self.counters)
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> Option<StoreHandle> {
        self.sender.clone().map(StoreHandle)
    }

    /// Queues a batch. If the queue has no room for the whole batch, counts the batch as lost. Never waits.
    pub fn send(&self, batch: Vec<Observation>) {
        if !batch.is_empty() {
            self.queue(batch, None);
        }
    }

    /// Like [`Writer::send`], with the mark up to which the ring is read. The batch may be empty. Returns whether the
    /// queue had room.
    pub fn send_up_to(&self, batch: Vec<Observation>, mark: Mark) -> bool {
        self.queue(batch, Some(mark))
    }

    fn queue(&self, batch: Vec<Observation>, mark: Option<Mark>) -> bool {
        let (counters, len) = (&self.counters, batch.len() as u64);
        let queued = counters.queued.fetch_add(len, Relaxed);
        let taken = queued + len <= self.capacity
            && self.sender.as_ref().is_some_and(|s| s.send(Message::Write(batch, mark)).is_ok());
        if !taken {
            counters.queued.fetch_sub(len, Relaxed);
            counters.lost.fetch_add(len, Relaxed);
        }
        taken
    }

    /// Moves the dates of this boot's rows, and of the observations that were sent earlier, by `step`. Observations
    /// sent later must have the new dates. If the store can't be written now, the next write moves the dates. Never
    /// waits.
    pub fn redate(&self, step: Span) {
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Redate(step)));
    }

    /// Runs `action` on the writing thread, after all earlier observations are written. Never waits.
    pub fn then(&self, action: impl FnOnce(Result<&mut Store, String>) + Send + 'static) {
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Do(Box::new(action))));
    }

    /// Applies a new retention and a new limit in bytes immediately. The other settings stay.
    pub fn keep(&self, settings: StoreSettings) {
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Keep(settings)));
    }

    /// Writes the queued observations, ends the thread and closes the store. If the disk does not answer in time, the
    /// rest of the queue is lost.
    #[must_use]
    pub fn finish(mut self) -> WriterSummary {
        self.join();
        WriterSummary { written: self.counters.written(), lost: self.counters.lost(), failure: self.counters.failure() }
    }

    fn join(&mut self) {
        // Handles keep the channel open, so dropping the sender is not enough.
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(Message::End); // Fails only if the thread died, which is checked below.
        }
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + self.patience;
        while !thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        let failure = if !thread.is_finished() {
            format!("the disk did not take the last observations within {} s", self.patience.as_secs())
        } else if thread.join().is_err() {
            "the thread of the store died".to_owned()
        } else {
            return;
        };
        let queued = self.counters.queued.swap(0, Relaxed);
        self.counters.lost.fetch_add(queued, Relaxed);
        self.counters.set_failure(Some(failure));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
