//! The thread that writes. Who hands observations to it never waits: a disk that stalls costs
//! counted observations, not a stalled ring.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Store;
use crate::mark::Mark;
use crate::observation::Observation;
use crate::time::{Span, Time};

/// A transaction of so many is not made cheaper by waiting for more.
const ENOUGH: usize = 10_000;
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// A slice of the pruning; the queue is looked at in between.
const PRUNE_ROWS: u32 = 5_000;

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
    /// Bytes that rows may take; of what is more, the oldest are deleted.
    pub most_bytes: u64,
    /// The wall clock, which retention goes by.
    pub clock: fn() -> Time,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            latency: Duration::from_millis(500),
            capacity: 100_000,
            retention: super::RETENTION,
            most_bytes: super::MOST_BYTES,
            clock: || {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time(since.as_micros() as i64)
            },
        }
    }
}

/// What became of the observations that were sent: written, lost, or still queued.
#[derive(Debug, Default)]
pub struct Counters {
    written: AtomicU64,
    lost: AtomicU64,
    queued: AtomicU64,
    pruned: AtomicU64,
    crowded_out: AtomicU64,
    bytes: AtomicU64,
    position: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Counters {
    /// Observations in the database.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Observations that found the queue full, or could not be written to the end.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Observations that are yet to be written.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.queued.load(Relaxed)
    }

    /// Rows deleted because they were older than the retention.
    #[must_use]
    pub fn pruned(&self) -> u64 {
        self.pruned.load(Relaxed)
    }

    /// Rows deleted because there were too many.
    #[must_use]
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out.load(Relaxed)
    }

    /// Bytes on disk after the latest write.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// How far the ring is in the database, by the marks that were sent; 0 before the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Relaxed)
    }

    /// Why the latest write failed, in one line; `None` if it did not.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the reason, and says what it was before.
    fn set_failure(&self, reason: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.failure.lock().unwrap_or_else(PoisonError::into_inner), reason)
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
enum Message {
    Write(Vec<Observation>, Option<Mark>),
    /// Once all that was sent before is written, or why it can't be.
    Do(Work),
    /// How long what is there is kept, and how large it may be.
    Keep(Settings),
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
}

/// The handle to the thread. Dropping it writes what is queued, as [`Writer::finish`] does.
pub struct Writer {
    /// `None` once it is to end.
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    capacity: u64,
}

impl Writer {
    /// Starts the thread, which owns the store from now on.
    pub fn start(store: Store, settings: Settings) -> io::Result<Writer> {
        let counters = Arc::new(Counters::default());
        counters.bytes.store(store.size(), Relaxed);
        let (sender, receiver) = channel();
        let task = Task {
            store,
            counters: Arc::clone(&counters),
            settings,
            pending: Vec::new(),
            mark: None,
            too_large: false,
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || task.run(&receiver))?;
        Ok(Writer { sender: Some(sender), thread: Some(thread), counters, capacity: settings.capacity })
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

    /// Takes another retention and another bound over, at once. The rest of the settings stays.
    pub fn keep(&self, settings: Settings) {
        // A thread that has ended keeps nothing.
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Keep(settings)));
    }

    /// Writes what is queued, ends the thread and closes the store.
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
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            let queued = self.counters.queued.swap(0, Relaxed);
            self.counters.lost.fetch_add(queued, Relaxed);
            self.counters.set_failure(Some("the thread of the store died".into()));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
    }
}

struct Task {
    store: Store,
    counters: Arc<Counters>,
    settings: Settings,
    /// Taken from the channel and not yet written; still counted as queued.
    pending: Vec<Observation>,
    /// To be written with them.
    mark: Option<Mark>,
    /// As of the latest write.
    too_large: bool,
}

impl Task {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut prune_at = Instant::now();
        // When what is pending has to be written; looked at only while something is.
        let mut write_at = prune_at;
        loop {
            let wake = if self.is_idle() { prune_at } else { write_at.min(prune_at) };
            match receiver.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Message::Do(work)) => {
                    if self.write() {
                        work(Ok(&mut self.store));
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
                Ok(Message::Keep(Settings { retention, most_bytes, .. })) => {
                    self.settings = Settings { retention, most_bytes, ..self.settings };
                    prune_at = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let healthy_and_many = self.pending.len() >= ENOUGH && self.counters.failure().is_none();
            if (healthy_and_many || Instant::now() >= write_at) && !self.write() {
                write_at = Instant::now() + self.settings.latency;
            }
            // Growth does not wait for the hour.
            if std::mem::take(&mut self.too_large) {
                prune_at = Instant::now();
            }
            if Instant::now() >= prune_at && self.prune() {
                prune_at = Instant::now() + PRUNE_EVERY;
            }
        }
        if !self.write() {
            let lost = self.pending.len() as u64;
            self.counters.queued.fetch_sub(lost, Relaxed);
            self.counters.lost.fetch_add(lost, Relaxed);
        }
    }

    /// Whether rows take more than they may.
    fn is_too_large(&self) -> bool {
        self.store.used().is_ok_and(|used| used > self.settings.most_bytes)
    }

    /// Whether nothing is to be written.
    const fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.mark.is_none()
    }

    /// Whether nothing is pending any more.
    fn write(&mut self) -> bool {
        if self.is_idle() {
            return true;
        }
        match self.store.append_up_to(&self.pending, self.mark.as_ref()) {
            Ok(()) => {
                if let Some(mark) = self.mark.take() {
                    self.counters.position.store(mark.position, Relaxed);
                }
                let written = self.pending.len() as u64;
                self.pending.clear();
                self.counters.queued.fetch_sub(written, Relaxed);
                self.counters.written.fetch_add(written, Relaxed);
                self.counters.bytes.store(self.store.size(), Relaxed);
                self.too_large = self.is_too_large();
                if self.counters.set_failure(None).is_some() {
                    tracing::info!("the store can be written again");
                }
                true
            }
            Err(error) => {
                // Once, and not at every attempt.
                if self.counters.set_failure(Some(error.to_string())).is_none() {
                    tracing::warn!("{error}; observations are kept in memory while there is room");
                }
                false
            }
        }
    }

    /// Whether that was all for now.
    fn prune(&mut self) -> bool {
        match self.store.prune_some((self.settings.clock)() - self.settings.retention, PRUNE_ROWS) {
            Ok(0) => self.shrink(),
            Ok(rows) => {
                self.counters.pruned.fetch_add(rows, Relaxed);
                false
            }
            Err(error) => {
                tracing::warn!("could not delete what is older than the retention: {error}");
                true
            }
        }
    }

    /// Whether that was all for now.
    fn shrink(&mut self) -> bool {
        match self.store.shrink_some(self.settings.most_bytes, PRUNE_ROWS) {
            Ok(rows) => {
                if rows > 0 && self.counters.crowded_out.fetch_add(rows, Relaxed) == 0 {
                    let most = self.settings.most_bytes;
                    tracing::warn!("the store is larger than {most} bytes: the oldest rows are deleted");
                }
                self.counters.bytes.store(self.store.size(), Relaxed);
                rows == 0
            }
            Err(error) => {
                tracing::warn!("could not delete what is too much: {error}");
                true
            }
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
