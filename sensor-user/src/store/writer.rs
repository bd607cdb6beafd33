//! The thread that writes. Who hands observations to it never waits: a disk that stalls costs
//! counted observations, not a stalled ring.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};

use super::counters::Counters;
use super::task::Task;
use super::worths::Cap;
use super::{Belief, Store};
use crate::mark::Mark;
use crate::system_clock;

/// How a [`Writer`] works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long an observation may wait for others to be written with, and a failed write for the
    /// next attempt.
    pub latency: Duration,
    /// Observations that may be queued, those in a failed write included; what comes then is lost.
    pub capacity: u64,
    /// What is older is deleted, at start and every hour.
    pub retention: Span,
    /// Bytes that rows may take; beyond, those that are worth least are deleted.
    pub most_bytes: u64,
    /// Rows of probes and answers that are written on one day; evidence of leaks beyond.
    pub unproven_a_day: u64,
    /// How long [`Writer::finish`] waits for a disk that does not answer.
    pub patience: Duration,
    /// The wall clock, which retention goes by as far as it is believed.
    pub clock: fn() -> Time,
    /// The time since boot, suspend included: how long a clock has stood.
    pub ran: fn() -> Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
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

/// What a writer did in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Observations in the database.
    pub written: u64,
    /// Observations that are not.
    pub lost: u64,
    /// Why the last write failed, if it did.
    pub failure: Option<String>,
}

/// What somebody wants done with the store, or to know why it can't be.
type Work = Box<dyn FnOnce(Result<&mut Store, String>) + Send>;

/// What the thread is told.
pub(super) enum Message {
    Write(Vec<Observation>, Option<Mark>),
    /// Once all that was sent before is written, or why it can't be.
    Do(Work),
    /// Moves the dates of everything of this boot, in the store and sent before this message.
    Redate(Span),
    /// How long what is there is kept, and how large it may be.
    Keep(Settings),
    /// Somebody read damage, when there had been so many damaged databases; and what was wrong.
    Damaged(u64, String),
    End,
}

/// A way to the store that others may keep: what they ask for is done between two writes.
#[derive(Clone)]
pub struct Handle(Sender<Message>);

impl Handle {
    /// Lets the thread do something with the store, and waits for it. What was sent before is in the
    /// store by then.
    ///
    /// # Errors
    /// One line: what was sent before can't be written, or the thread has ended.
    pub fn with<T: Send + 'static>(&self, action: impl FnOnce(&mut Store) -> T + Send + 'static) -> Result<T, String> {
        let (sender, receiver) = channel();
        let work = move |store: Result<&mut Store, String>| {
            // Who asked may have gone.
            let _ = sender.send(store.map(action));
        };
        let ended = || "the sensor is stopping".to_owned();
        self.0.send(Message::Do(Box::new(work))).map_err(|_| ended())?;
        receiver.recv().map_err(|_| ended())?
    }

    /// Says that reading found damage, so that the database is set aside; unless that has been done
    /// since `before`, which is what [`Counters::damaged`] was when the reading began.
    pub fn found_damage(&self, before: u64, why: String) {
        // A thread that has ended leaves that to the next start.
        let _ = self.0.send(Message::Damaged(before, why));
    }
}

/// The handle to the thread. Dropping it writes what is queued, as [`Writer::finish`] does.
pub struct Writer {
    /// `None` once it is to end.
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    capacity: u64,
    patience: Duration,
}

impl Writer {
    /// Starts the thread, which owns the store from now on.
    pub fn start(mut store: Store, settings: Settings) -> io::Result<Writer> {
        store.cap = Some(Cap::new(settings.unproven_a_day));
        let counters = Arc::new(Counters { believed: AtomicI64::new(i64::MAX), ..Counters::default() });
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
            anew: None,
            belief: Belief::default(),
            looked: (settings.ran)(),
            wipe_at: None,
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || task.run(&receiver))?;
        let Settings { capacity, patience, .. } = settings;
        Ok(Writer { sender: Some(sender), thread: Some(thread), counters, capacity, patience })
    }

    /// What became of the observations so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// A way to the store for others.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.sender.clone().map(Handle)
    }

    /// Queues a batch whole, or counts it as lost if there is no room. Never waits.
    pub fn send(&self, batch: Vec<Observation>) {
        if !batch.is_empty() {
            self.queue(batch, None);
        }
    }

    /// The same, with the mark up to which the ring is handed over by that; the batch may be empty.
    /// Whether there was room.
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

    /// Moves the dates of everything of this boot by `step`: rows of the store, and observations sent before this
    /// call. Observations sent later must have the new dates. If the store can't be written, the next write does
    /// it. Never waits.
    pub fn redate(&self, step: Span) {
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Redate(step)));
    }

    /// Lets the thread do something with the store, once all that was sent before is in it. Never waits.
    pub fn then(&self, action: impl FnOnce(Result<&mut Store, String>) + Send + 'static) {
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Do(Box::new(action))));
    }

    /// Takes another retention and another bound over, at once. The rest of the settings stays.
    pub fn keep(&self, settings: Settings) {
        // A thread that has ended keeps nothing.
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Keep(settings)));
    }

    /// Writes what is queued, ends the thread and closes the store. What a disk that does not answer
    /// has not taken in time is lost.
    #[must_use]
    pub fn finish(mut self) -> Summary {
        self.join();
        Summary { written: self.counters.written(), lost: self.counters.lost(), failure: self.counters.failure() }
    }

    fn join(&mut self) {
        // Others may hold a handle, so that hanging up is not enough.
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(Message::End); // It fails if the thread died, which is seen below.
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
