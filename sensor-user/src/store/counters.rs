//! Counters and state of the writing thread, for all other threads.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// The limit for a write. A write that takes longer waits for the disk.
pub(super) const WRITE: Duration = Duration::from_secs(5);
/// The limit for other work, such as rewriting the database, which is slow on a slow disk.
pub(super) const WORK: Duration = Duration::from_secs(120);

/// The begin and the limit of the current operation of the writing thread.
#[derive(Debug, Default)]
pub(super) struct StallWatch(Mutex<Option<(Instant, Duration)>>);

impl StallWatch {
    fn current(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, limit: Duration) {
        *self.current() = Some((Instant::now(), limit));
    }

    /// The operation ended, with success or not.
    pub(super) fn end(&self) {
        *self.current() = None;
    }

    /// How long the operation has taken, if that is too long.
    pub(super) fn stalled(&self) -> Option<Duration> {
        let (began, limit) = (*self.current())?;
        Some(began.elapsed()).filter(|since| *since > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_operation_that_has_not_ended_is_a_stall() {
        let watch = StallWatch::default();
        assert_eq!(watch.stalled(), None);
        watch.begin(WRITE);
        assert_eq!(watch.stalled(), None);
        watch.begin(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(3));
        assert!(watch.stalled().is_some_and(|since| since >= Duration::from_millis(1)));
        watch.end();
        assert_eq!(watch.stalled(), None);
    }
}
