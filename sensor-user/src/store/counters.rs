//! Counters and state of the writing thread, for all other threads.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tattler_core::time::Time;

use super::Store;

/// What the writing thread has done.
#[derive(Debug, Default)]
pub struct StoreCounters {
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) pruned: AtomicU64,
    pub(super) crowded_out: AtomicU64,
    pub(super) capped: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) failed_writes: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) damaged_file: Mutex<Option<String>>,
    pub(super) watch: StallWatch,
    /// Microseconds since 1970; `i64::MAX` if the wall clock is believed.
    pub(super) believed: AtomicI64,
    pub(super) position: AtomicU64,
    pub(super) failure: Mutex<Option<String>>,
}

/// Reads of single counters.
macro_rules! getters {
    ($($(#[$doc:meta])+ $name:ident;)+) => {
        impl StoreCounters {
            $($(#[$doc])+
            #[must_use]
            pub fn $name(&self) -> u64 {
                self.$name.load(Relaxed)
            })+
        }
    };
}

getters! {
    /// Observations in the database.
    written;
    /// Observations that did not fit into the queue, or could not be written until the end.
    lost;
    /// Observations that wait to be written.
    queued;
    /// Rows deleted because they were older than the retention.
    pruned;
    /// Rows deleted to make room.
    crowded_out;
    /// Probes and answers that prove nothing and were not written, because their day had too many.
    capped;
    /// Bytes on disk after the latest write.
    bytes;
    /// How far the ring is stored, by the marks that were sent; 0 before the first.
    position;
    /// Attempts to write that failed.
    failed_writes;
    /// Damaged databases that were set aside.
    damaged;
}

impl StoreCounters {
    /// The time that retention uses, if the wall clock is far ahead of it.
    #[must_use]
    pub fn believed(&self) -> Option<Time> {
        Some(self.believed.load(Relaxed)).filter(|&time| time != i64::MAX).map(Time)
    }

    /// The path of the last damaged database.
    #[must_use]
    pub fn damaged_file(&self) -> Option<String> {
        self.damaged_file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the latest write failed or does not end, in one line.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failed().or_else(|| self.stalled())
    }

    /// How long the disk has not answered, in one line, if that is too long.
    #[must_use]
    pub fn stalled(&self) -> Option<String> {
        self.watch.stalled().map(|since| format!("the disk has not answered for {} s", since.as_secs()))
    }

    pub(super) fn failed(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn see_damaged(&self, store: &Store) {
        let (count, last) = store.damaged();
        let last = last.map(|path| path.display().to_string());
        *self.damaged_file.lock().unwrap_or_else(PoisonError::into_inner) = last;
        self.damaged.store(count, Relaxed);
    }

    /// Sets the reason and returns the previous one.
    pub(super) fn set_failure(&self, reason: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.failure.lock().unwrap_or_else(PoisonError::into_inner), reason)
    }
}

/// A write that takes longer waits for the disk.
const WRITE: Duration = Duration::from_secs(5);
/// The limit for other work, such as rewriting the database, which is slow on a slow disk.
const WORK: Duration = Duration::from_secs(120);

/// The current operation of the writing thread.
#[derive(Debug)]
pub(super) struct StallWatch {
    base: Instant,
    /// Milliseconds since `base` plus 1; 0 while the thread waits for work.
    began: AtomicU64,
    limit: AtomicU64,
}

impl Default for StallWatch {
    fn default() -> StallWatch {
        StallWatch { base: Instant::now(), began: AtomicU64::new(0), limit: AtomicU64::new(0) }
    }
}

impl StallWatch {
    /// A write begins.
    pub(super) fn write(&self) {
        self.begin(WRITE);
    }

    /// Other work on the store begins.
    pub(super) fn work(&self) {
        self.begin(WORK);
    }

    fn begin(&self, limit: Duration) {
        self.limit.store(limit.as_millis() as u64, Relaxed);
        self.began.store(self.base.elapsed().as_millis() as u64 + 1, Relaxed);
    }

    /// The operation ended, with success or not.
    pub(super) fn end(&self) {
        self.began.store(0, Relaxed);
    }

    /// How long the operation has taken, if that is too long.
    pub(super) fn stalled(&self) -> Option<Duration> {
        let began = self.began.load(Relaxed).checked_sub(1)?;
        let since = (self.base.elapsed().as_millis() as u64).saturating_sub(began);
        (since > self.limit.load(Relaxed)).then(|| Duration::from_millis(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_operation_that_has_not_ended_is_a_stall() {
        let watch = StallWatch::default();
        assert_eq!(watch.stalled(), None);
        watch.write();
        assert_eq!(watch.stalled(), None);
        watch.begin(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(3));
        assert!(watch.stalled().is_some_and(|since| since >= Duration::from_millis(1)));
        watch.end();
        assert_eq!(watch.stalled(), None);
    }
}
