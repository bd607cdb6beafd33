//! How long the disk has been at something: a write that never returns can't say so itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A write that takes longer is one that waits for its disk.
const WRITE: Duration = Duration::from_secs(5);
/// So is other work, such as writing the database anew, which takes a while on a slow disk.
const WORK: Duration = Duration::from_secs(120);

/// What the thread that writes is at.
#[derive(Debug)]
pub(super) struct Watch {
    base: Instant,
    /// Milliseconds since the base, and 1 more; 0 while it waits for work.
    began: AtomicU64,
    limit: AtomicU64,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { base: Instant::now(), began: AtomicU64::new(0), limit: AtomicU64::new(0) }
    }
}

impl Watch {
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

    /// It is done, well or not.
    pub(super) fn end(&self) {
        self.began.store(0, Relaxed);
    }

    /// How long the disk has not answered, if that is too long.
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
    fn only_what_takes_too_long_is_a_stall_and_only_while_it_lasts() {
        let watch = Watch::default();
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
