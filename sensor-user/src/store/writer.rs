//! The thread that writes. Who hands observations to it never waits: a disk that stalls costs
//! counted observations, not a stalled ring.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::stall::Watch;
use super::{Belief, Store, WriteError};
use crate::mark::Mark;
use crate::observation::Observation;
use crate::time::{Span, Time};

/// A transaction of so many is not made cheaper by waiting for more.
const ENOUGH: usize = 10_000;
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// A slice of the pruning; the queue is looked at in between.
const PRUNE_ROWS: u32 = 5_000;
/// A disk that damages one database after the other is not given more of them.
const ANEW_EVERY: Duration = Duration::from_secs(60);

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
            patience: Duration::from_secs(10),
            clock: || {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time(since.as_micros() as i64)
            },
            ran: since_boot,
        }
    }
}

fn since_boot() -> Span {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing, and the clock exists on every kernel that we run on.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Span(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)
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
    failed_writes: AtomicU64,
    damaged: AtomicU64,
    damaged_file: Mutex<Option<String>>,
    watch: Watch,
    /// Microseconds since 1970; what is not doubted is `i64::MAX`.
    believed: AtomicI64,
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

    /// The time that retention goes by, if it is not the wall clock's, which is far ahead.
    #[must_use]
    pub fn believed(&self) -> Option<Time> {
        Some(self.believed.load(Relaxed)).filter(|&time| time != i64::MAX).map(Time)
    }

    /// How far the ring is in the database, by the marks that were sent; 0 before the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Relaxed)
    }

    /// Attempts to write that failed.
    #[must_use]
    pub fn failed_writes(&self) -> u64 {
        self.failed_writes.load(Relaxed)
    }

    /// Databases that were found damaged and were set aside.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Relaxed)
    }

    /// Where the last of them is.
    #[must_use]
    pub fn damaged_file(&self) -> Option<String> {
        self.damaged_file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the latest write failed, or does not end, in one line; `None` if all is well.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failed().or_else(|| self.stalled())
    }

    /// That the disk has not answered for long, in one line.
    #[must_use]
    pub fn stalled(&self) -> Option<String> {
        self.watch.stalled().map(|since| format!("the disk has not answered for {} s", since.as_secs()))
    }

    fn failed(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn see_damaged(&self, store: &Store) {
        let (count, last) = store.damaged();
        let last = last.map(|path| path.display().to_string());
        *self.damaged_file.lock().unwrap_or_else(PoisonError::into_inner) = last;
        self.damaged.store(count, Relaxed);
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

/// As [`Work`], with the number of rows that were dated anew.
type Redated = Box<dyn FnOnce(Result<(&mut Store, u64), String>) + Send>;

/// What the thread is told.
enum Message {
    Write(Vec<Observation>, Option<Mark>),
    /// Once all that was sent before is written, or why it can't be.
    Do(Work),
    /// What was sent before, and what is in the store of this boot, is to be dated anew; and then as
    /// [`Message::Do`].
    Redate(Span, Redated),
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
    pub fn start(store: Store, settings: Settings) -> io::Result<Writer> {
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

    /// Has everything of this boot dated anew by `step`: what was sent before this call, in the store
    /// and on its way there. What is sent after it is dated so already. `then` is handed the store as
    /// soon as both are true, before anything that is sent later gets there; or why it can't be, and it
    /// is tried again with the next write. Never waits.
    pub fn redate(&self, step: Span, then: impl FnOnce(Result<(&mut Store, u64), String>) + Send + 'static) {
        let _ = self.sender.as_ref().map(|sender| sender.send(Message::Redate(step, Box::new(then))));
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

struct Task {
    store: Store,
    counters: Arc<Counters>,
    settings: Settings,
    /// Taken from the channel and not yet written; still counted as queued.
    pending: Vec<Observation>,
    /// By how much what is in the store has yet to be dated anew; with the next write, and before it.
    step: Span,
    /// To be written with them.
    mark: Option<Mark>,
    /// As of the latest write.
    too_large: bool,
    /// When the last database was begun in place of a damaged one.
    anew: Option<Instant>,
    belief: Belief,
    /// When it was looked at, since boot.
    looked: Span,
}

impl Task {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut prune_at = Instant::now();
        match self.store.belief() {
            Ok(belief) => self.belief = belief,
            Err(error) => tracing::warn!("{error}; retention goes by the wall clock"),
        }
        // When what is pending has to be written; looked at only while something is.
        let mut write_at = prune_at;
        loop {
            let wake = if self.is_idle() { prune_at } else { write_at.min(prune_at) };
            match receiver.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(Message::Redate(step, then)) => {
                    self.pending.iter_mut().for_each(|observation| observation.shift(step));
                    self.step = Span(self.step.0.saturating_add(step.0));
                    if let Some(rows) = self.write() {
                        then(Ok((&mut self.store, rows)));
                    } else {
                        then(Err(self.counters.failure().unwrap_or_default()));
                        write_at = Instant::now() + self.settings.latency;
                    }
                    prune_at = Instant::now();
                }
                Ok(Message::Do(work)) => {
                    if self.write().is_some() {
                        self.counters.watch.work();
                        work(Ok(&mut self.store));
                        self.counters.watch.end();
                        if let Some(why) = self.store.suspicion() {
                            self.begin_anew(&why);
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
                Ok(Message::Keep(Settings { retention, most_bytes, .. })) => {
                    self.settings = Settings { retention, most_bytes, ..self.settings };
                    prune_at = Instant::now();
                }
                Ok(Message::Damaged(before, why)) => {
                    if self.counters.damaged() == before {
                        self.begin_anew(&why);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let healthy_and_many = self.pending.len() >= ENOUGH && self.counters.failure().is_none();
            if (healthy_and_many || Instant::now() >= write_at) && self.write().is_none() {
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
        if self.write().is_none() {
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
    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.mark.is_none() && self.step == Span(0)
    }

    /// How many rows were dated anew; `None` if not all could be done.
    fn write(&mut self) -> Option<u64> {
        if self.is_idle() {
            return Some(0);
        }
        // To date a whole boot anew takes longer than to write what came in a moment.
        if self.step == Span(0) {
            self.counters.watch.write();
        } else {
            self.counters.watch.work();
        }
        let outcome = self.store.append_after(self.step, &self.pending, self.mark.as_ref());
        self.counters.watch.end();
        match outcome {
            Ok(rows) => {
                if let Some(mark) = self.mark.take() {
                    self.counters.position.store(mark.position, Relaxed);
                }
                let written = self.pending.len() as u64;
                self.pending.clear();
                self.step = Span(0);
                self.counters.queued.fetch_sub(written, Relaxed);
                self.counters.written.fetch_add(written, Relaxed);
                self.counters.bytes.store(self.store.size(), Relaxed);
                self.too_large = self.is_too_large();
                if self.counters.set_failure(None).is_some() {
                    tracing::info!("the store can be written again");
                }
                Some(rows)
            }
            Err(error) => {
                self.counters.failed_writes.fetch_add(1, Relaxed);
                if let WriteError::Damaged { source, .. } = &error
                    && self.begin_anew(source)
                {
                    return self.write();
                }
                self.fails(&error);
                None
            }
        }
    }

    /// Says so: once, and not at every attempt.
    fn fails(&self, error: &dyn std::fmt::Display) {
        if self.counters.set_failure(Some(error.to_string())).is_none() {
            tracing::warn!("{error}; observations are kept in memory while there is room");
        }
    }

    /// Sets the database aside and begins a new one; whether that went well.
    fn begin_anew(&mut self, why: &dyn std::fmt::Display) -> bool {
        if self.anew.is_some_and(|at| at.elapsed() < ANEW_EVERY) {
            return false;
        }
        match self.store.begin_anew(why, (self.settings.clock)()) {
            Ok(aside) => {
                self.anew = Some(Instant::now());
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
        let Settings { retention, most_bytes, .. } = self.settings;
        if let Err(error) = self.store.tidy(now, retention, most_bytes) {
            tracing::warn!("could not delete an old damaged database in {}: {error}", self.store.path().display());
        }
    }

    /// The time that retention goes by.
    fn now(&mut self) -> Time {
        let ran = (self.settings.ran)();
        let passed = Span((ran.0 - self.looked.0).max(0));
        self.looked = ran;
        let before = self.belief;
        let now = self.belief.now((self.settings.clock)(), passed);
        if self.belief.doubts() && !before.doubts() {
            tracing::warn!(
                "the clock is far ahead of {now}, the time known so far: until it has stood for a day, nothing is deleted for its age by it"
            );
        }
        self.counters.believed.store(if self.belief.doubts() { now.0 } else { i64::MAX }, Relaxed);
        if let Err(error) = self.store.believe(self.belief) {
            tracing::warn!("{error}");
        }
        // Rows of this boot are dated by its origin, which may lag behind a clock that was just set:
        // by that time they would be old.
        self.store.boot.map_or(now, |boot| now.min(boot.origin + ran))
    }

    /// Whether that was all for now.
    fn prune(&mut self) -> bool {
        // Some of what is there is dated by another clock.
        if self.step != Span(0) {
            return true;
        }
        self.counters.watch.write();
        let outcome = self.prune_some();
        self.counters.watch.end();
        match outcome {
            Ok(done) => done,
            Err(WriteError::Damaged { source, .. }) if self.begin_anew(&source) => true,
            Err(error) => {
                tracing::warn!("could not delete what is too old or too much: {error}");
                true
            }
        }
    }

    /// Deletes some of what is too old, or else of what is too much. Whether that was all for now.
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

    /// Whether that was all for now.
    fn shrink(&mut self) -> Result<bool, WriteError> {
        let rows = self.store.shrink_some(self.settings.most_bytes, PRUNE_ROWS)?;
        if rows > 0 && self.counters.crowded_out.fetch_add(rows, Relaxed) == 0 {
            let most = self.settings.most_bytes;
            tracing::warn!("the store is larger than {most} bytes: the oldest rows are deleted");
        }
        self.counters.bytes.store(self.store.size(), Relaxed);
        Ok(rows == 0)
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
