//! Sorts records by their beginnings.

use std::collections::BTreeMap;

use tattler_core::time::{Span, Time};

use super::{FlowRecord, LineOrigin};

/// Time for which a record waits for records that began earlier, according to the times in the records.
const WAIT: Span = Span::from_seconds(3_600);
/// The most records that wait, with a memory use of about 20 MB.
const MOST: usize = 1 << 17;

/// Hands records on in the order of their beginnings, within a bound. A record comes late if, before the record's
/// arrival, another record with a later beginning was handed on.
#[derive(Default)]
pub struct FlowOrder {
    /// Waiting records by their beginnings. Records with the same beginning keep their order.
    waiting: BTreeMap<(Time, u64), (FlowRecord, LineOrigin)>,
    latest: Option<Time>,
    arrived: u64,
}

impl FlowOrder {
    /// Adds a record.
    pub fn push(&mut self, record: FlowRecord, origin: LineOrigin) {
        // An exporter writes each record at its end, so the ends are nearly in order.
        self.latest = self.latest.max(Some(record.last));
        self.arrived += 1;
        self.waiting.insert((record.first, self.arrived), (record, origin));
    }

    /// The next record, if the record has waited long enough.
    pub fn pop(&mut self) -> Option<(FlowRecord, LineOrigin)> {
        let (&(first, _), _) = self.waiting.first_key_value()?;
        let is_due = self.waiting.len() > MOST || self.latest.is_some_and(|latest| latest - first > WAIT);
        if is_due { self.pop_any() } else { None }
    }

    /// The next record, regardless of its waiting time.
    pub fn pop_any(&mut self) -> Option<(FlowRecord, LineOrigin)> {
        self.waiting.pop_first().map(|(_, waiting)| waiting)
    }

    /// The first line of the waiting records.
    #[must_use]
    pub fn earliest(&self) -> Option<(usize, u64)> {
        self.waiting.values().map(|(_, origin)| origin.at).min()
    }

    /// From now on, accepts records that are earlier than all previous records.
    pub fn restart(&mut self) {
        self.latest = None;
    }
}
