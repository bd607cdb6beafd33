//! The latest rows, the latest first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::record::QueryRecord;
use super::{Kept, Rows};
use crate::store::ReplayError;

pub(super) fn latest(rows: &Rows<'_>, limit: usize) -> Result<Kept, ReplayError> {
    // Of rows with equal times, the row that was read first counts as the latest.
    let mut latest = BTreeMap::new();
    let mut seen = 0u64;
    let notes = rows.each(&mut |record| {
        let key = (record.last, Reverse(seen));
        seen += 1;
        if latest.len() < limit || latest.first_key_value().is_some_and(|(earliest, _)| *earliest < key) {
            latest.insert(key, record);
            if latest.len() > limit {
                latest.pop_first();
            }
        }
    })?;
    let subject = rows.plan.subject;
    Ok(Kept {
        columns: QueryRecord::columns(subject).map(str::to_owned).collect(),
        more: seen - latest.len() as u64,
        rows: latest.into_values().rev().map(|record| record.json(subject)).collect(),
        notes,
    })
}
