//! What the thread that writes says of itself, to whoever looks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tattler_core::time::Time;

use super::Store;
use super::stall::Watch;

/// What became of the observations that were sent: written, lost, or still queued.
#[derive(Debug, Default)]
pub struct Counters {
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
    pub(super) watch: Watch,
    /// Microseconds since 1970; what is not doubted is `i64::MAX`.
    pub(super) believed: AtomicI64,
    pub(super) position: AtomicU64,
    pub(super) failure: Mutex<Option<String>>,
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

    /// Probes and answers that prove nothing and were not written, because their day had too many.
    #[must_use]
    pub fn capped(&self) -> u64 {
        self.capped.load(Relaxed)
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

    pub(super) fn failed(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn see_damaged(&self, store: &Store) {
        let (count, last) = store.damaged();
        let last = last.map(|path| path.display().to_string());
        *self.damaged_file.lock().unwrap_or_else(PoisonError::into_inner) = last;
        self.damaged.store(count, Relaxed);
    }

    /// Sets the reason, and says what it was before.
    pub(super) fn set_failure(&self, reason: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.failure.lock().unwrap_or_else(PoisonError::into_inner), reason)
    }
}
