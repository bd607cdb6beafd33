//! Counters and state of the writing thread, for all other threads.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tattler_core::time::Time;

use super::Store;

/// Counters and state of the writing thread.
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

/// Creates the functions that read single counters.
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
    /// Number of observations that were written to the database.
    written;
    /// Number of observations that did not fit into the queue, or could not be written before the thread ended.
    lost;
    /// Number of observations that are not written yet.
    queued;
    /// Number of rows deleted because they were older than the retention.
    pruned;
    /// Number of rows deleted to make room.
    crowded_out;
    /// Number of probes and answers that were not written, because they prove nothing and the limit of the day was
    /// reached.
    capped;
    /// Number of bytes on disk after the latest write.
    bytes;
    /// The position in the ring up to which events are stored, from the latest stored mark; 0 before the first mark.
    position;
    /// Number of failed writes.
    failed_writes;
    /// Number of damaged databases that were set aside.
    damaged;
}

impl StoreCounters {
    /// The time that retention uses, if the wall clock is far ahead of this time. Otherwise `None`.
    #[must_use]
    pub fn believed(&self) -> Option<Time> {
        Some(self.believed.load(Relaxed)).filter(|&time| time != i64::MAX).map(Time)
    }

    /// The path of the last damaged database that was set aside.
    #[must_use]
    pub fn damaged_file(&self) -> Option<String> {
        self.damaged_file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One line: the reason why the latest write failed, or that the disk does not answer.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failed().or_else(|| self.stalled())
    }

    /// One line: the time for which the disk has not answered. `None` if the time is within the limit.
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

    /// Sets the reason for the latest failure and returns the previous reason.
    pub(super) fn set_failure(&self, reason: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.failure.lock().unwrap_or_else(PoisonError::into_inner), reason)
    }
}

/// The time limit for a write. A longer write means that the disk does not answer.
pub(super) const WRITE: Duration = Duration::from_secs(5);
/// The time limit for other work, such as a rewrite of the database, which takes long on a slow disk.
pub(super) const WORK: Duration = Duration::from_secs(120);

/// The start and the time limit of the current operation of the writing thread.
#[derive(Debug, Default)]
pub(super) struct StallWatch(Mutex<Option<(Instant, Duration)>>);

impl StallWatch {
    fn current(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, limit: Duration) {
        *self.current() = Some((Instant::now(), limit));
    }

    /// Records the end of the operation, after success or failure.
    pub(super) fn end(&self) {
        *self.current() = None;
    }

    /// The duration of the current operation, if the duration exceeds the limit.
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
