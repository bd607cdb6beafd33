//! Records by the time at which they began.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::Record;
use crate::time::{Span, Time};

/// How long a record waits for others that began earlier, by the times in the records.
const WAIT: Span = Span::from_seconds(3_600);
/// Records that wait at most; some 20 MB.
const MOST: usize = 1 << 17;

/// Hands records on in the order of their beginnings, as far as a bound allows: what began before
/// something that was handed on already comes late.
#[derive(Default)]
pub struct Order {
    waiting: BinaryHeap<Reverse<Waiting>>,
    latest: Option<Time>,
    arrived: u64,
}

struct Waiting {
    record: Record,
    /// Told already, at an earlier reading.
    is_old: bool,
    /// Records of one time keep their order.
    arrived: u64,
}

impl Order {
    /// Takes a record in.
    pub fn push(&mut self, record: Record, is_old: bool) {
        // Records are told when they end, so ends are nearly in order.
        self.latest = self.latest.max(Some(record.last));
        self.arrived += 1;
        self.waiting.push(Reverse(Waiting { record, is_old, arrived: self.arrived }));
    }

    /// The next record that has waited long enough, and whether it was told already.
    pub fn pop(&mut self) -> Option<(Record, bool)> {
        let Reverse(first) = self.waiting.peek()?;
        let is_due = self.waiting.len() > MOST || self.latest.is_some_and(|latest| latest - first.record.first > WAIT);
        if is_due { self.pop_any() } else { None }
    }

    /// The next record, however long it has waited.
    pub fn pop_any(&mut self) -> Option<(Record, bool)> {
        self.waiting.pop().map(|Reverse(waiting)| (waiting.record, waiting.is_old))
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What comes next may be earlier than anything before.
    pub fn restart(&mut self) {
        self.latest = None;
    }
}

impl Waiting {
    fn key(&self) -> (Time, u64) {
        (self.record.first, self.arrived)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}
