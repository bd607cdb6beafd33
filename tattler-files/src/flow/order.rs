//! Records by the time at which they began.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use tattler_core::time::{Span, Time};

use super::{LineOrigin, FlowRecord};

/// How long a record waits for others that began earlier, by the times in the records.
const WAIT: Span = Span::from_seconds(3_600);
/// Records that wait at most; some 20 MB.
const MOST: usize = 1 << 17;

/// Hands records on in the order of their beginnings, as far as a bound allows: what began before
/// something that was handed on already comes late.
#[derive(Default)]
pub struct FlowOrder {
    waiting: BinaryHeap<Reverse<Waiting>>,
    latest: Option<Time>,
    arrived: u64,
}

struct Waiting {
    record: FlowRecord,
    origin: LineOrigin,
    /// Records of one time keep their order.
    arrived: u64,
}

impl FlowOrder {
    /// Takes a record in.
    pub fn push(&mut self, record: FlowRecord, origin: LineOrigin) {
        // Records are told when they end, so ends are nearly in order.
        self.latest = self.latest.max(Some(record.last));
        self.arrived += 1;
        self.waiting.push(Reverse(Waiting { record, origin, arrived: self.arrived }));
    }

    /// The next record that has waited long enough.
    pub fn pop(&mut self) -> Option<(FlowRecord, LineOrigin)> {
        let Reverse(first) = self.waiting.peek()?;
        let is_due = self.waiting.len() > MOST || self.latest.is_some_and(|latest| latest - first.record.first > WAIT);
        if is_due { self.pop_any() } else { None }
    }

    /// The next record, however long it has waited.
    pub fn pop_any(&mut self) -> Option<(FlowRecord, LineOrigin)> {
        self.waiting.pop().map(|Reverse(waiting)| (waiting.record, waiting.origin))
    }

    /// The first line of which a record waits.
    #[must_use]
    pub fn earliest(&self) -> Option<(usize, u64)> {
        self.waiting.iter().map(|Reverse(waiting)| waiting.origin.at).min()
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
