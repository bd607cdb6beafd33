//! How long an operation of the disk has taken. A write that never returns can't report that itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

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
