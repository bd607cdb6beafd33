//! The latest rows, the latest first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use tattler_core::time::Time;

use super::record::QueryRecord;
use super::{Kept, Rows};
use crate::store::ReplayError;

/// A row with its sort key. Of equal times the row read first comes first.
struct Timed<'n>((Time, Reverse<u64>), QueryRecord<'n>);

pub(super) fn latest(rows: &Rows<'_>, limit: usize) -> Result<Kept, ReplayError> {
    let mut heap: BinaryHeap<Reverse<Timed<'_>>> = BinaryHeap::new();
    let mut seen = 0u64;
    let notes = rows.each(&mut |record| {
        let key = (record.last, Reverse(seen));
        seen += 1;
        if heap.len() < limit {
            heap.push(Reverse(Timed(key, record)));
        } else if let Some(mut earliest) = heap.peek_mut()
            && earliest.0.0 < key
        {
            *earliest = Reverse(Timed(key, record));
        }
    })?;
    let subject = rows.plan.subject;
    // `Reverse` sorts the latest first.
    let kept = heap.into_sorted_vec();
    Ok(Kept {
        columns: QueryRecord::columns(subject).map(str::to_owned).collect(),
        more: seen - kept.len() as u64,
        rows: kept.into_iter().map(|Reverse(Timed(_, record))| record.json(subject)).collect(),
        notes,
    })
}

impl Ord for Timed<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Timed<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timed<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Timed<'_> {}
