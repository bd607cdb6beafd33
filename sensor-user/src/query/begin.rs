//! The first contacts of each group: `contacts --first-seen`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::Ipv6Addr;

use serde_json::{Value, json};
use tattler_core::names::Names;
use tattler_core::time::{Span, Time};

use super::group::{BoundedGroups, GroupBy, Key};
use super::record::QueryRecord;
use super::{Kept, Rows};
use crate::store::ReplayError;

/// Number of first contacts shown for each group.
const BEGINNINGS: usize = 3;
/// Time before and after the first contact in which other contacts of the same local are searched.
const AROUND: Span = Span::from_seconds(60);
/// Number of these other contacts shown for each group.
const NEIGHBOURS: usize = 5;
/// Maximum number of groups for which other contacts are searched: every contact is compared with each group.
const LOOKED_AT: usize = 50;

/// A group with its first contacts.
struct Begun<'n> {
    last: Time,
    count: u64,
    /// The first contacts of the group, in order of time.
    firsts: Vec<QueryRecord<'n>>,
}

pub(super) fn began(rows: &Rows<'_>, by: &GroupBy, limit: usize) -> Result<Kept, ReplayError> {
    let mut groups = BoundedGroups::new();
    // A first contact has no earlier contact, so all contacts up to the end of the window are read.
    let mut notes = rows.each_between(Time(i64::MIN), rows.plan.to(), &mut |record| {
        let new = || Begun { last: record.last, count: 0, firsts: Vec::new() };
        if let Some(group) = groups.group(by.key(&record), new) {
            group.last = group.last.max(record.last);
            group.count += record.count;
            let at = group.firsts.partition_point(|first| order(first) <= order(&record));
            if at < BEGINNINGS {
                group.firsts.insert(at, record);
                group.firsts.truncate(BEGINNINGS);
            }
        }
    })?;
    notes.extend(groups.note());
    let mut groups: Vec<(Vec<Key>, Begun<'_>)> =
        groups.groups.into_iter().filter(|(_, group)| group.firsts[0].first >= rows.plan.from()).collect();
    groups.sort_unstable_by(|(a_key, a), (b_key, b)| {
        (Reverse(a.firsts[0].first), a_key).cmp(&(Reverse(b.firsts[0].first), b_key))
    });
    let more = groups.len().saturating_sub(limit) as u64;
    groups.truncate(limit);
    let around = around(rows, by, &groups[..groups.len().min(LOOKED_AT)])?;

    let mut columns = vec!["first".to_owned()];
    columns.extend(by.columns());
    for column in ["last", "count", "name", "label", "local", "device", "device_name", "proto", "port"] {
        if !columns.iter().any(|known| known == column) {
            columns.push(column.to_owned());
        }
    }
    let row = |(i, (key, group)): (usize, (Vec<Key>, Begun<'_>))| {
        let first = &group.firsts[0];
        let mut row = first.json(rows.plan.subject);
        row.retain(|key, _| columns.contains(key));
        row.extend(by.json(key));
        row.insert("last".into(), json!(group.last));
        row.insert("count".into(), json!(group.count));
        row.insert("began".into(), group.firsts.iter().map(contact).collect());
        if let Some(around) = around.get(i) {
            row.insert("around".into(), around.iter().map(|(_, contact)| contact.clone()).collect());
        }
        row
    };
    let rows = groups.into_iter().enumerate().map(row).collect();
    Ok(Kept { columns, rows, more, notes })
}

fn order(record: &QueryRecord<'_>) -> (Time, Ipv6Addr, Option<Ipv6Addr>, Option<u16>) {
    (record.first, record.local, record.remote, record.port)
}

fn contact(record: &QueryRecord<'_>) -> Value {
    json!({
        "ts": record.first,
        "local": record.local,
        "remote": record.remote,
        "name": record.name.as_deref().or(record.label),
        "device": record.device_name.or(record.device.as_deref()),
        "proto": record.proto.map(|proto| proto.as_str()),
        "port": record.port,
    })
}

/// For each group: the other contacts of the same local that are nearest in time to the group's first contact. The
/// filter does not apply to these contacts.
fn around(
    rows: &Rows<'_>,
    by: &GroupBy,
    groups: &[(Vec<Key>, Begun<'_>)],
) -> Result<Vec<Vec<(Time, Value)>>, ReplayError> {
    let mut of_local: HashMap<Ipv6Addr, Vec<usize>> = HashMap::new();
    for (i, (_, group)) in groups.iter().enumerate() {
        of_local.entry(group.firsts[0].local).or_default().push(i);
    }
    let mut around: Vec<Vec<(Time, Value)>> = vec![Vec::new(); groups.len()];
    let times = groups.iter().map(|(_, group)| group.firsts[0].first);
    let Some((from, to)) = times.clone().min().zip(times.max()) else { return Ok(around) };
    let names: &Names = rows.context.names;
    rows.reader.contacts(from - AROUND, to + AROUND, &mut |found| {
        for &i in of_local.get(&found.local).map_or(&[][..], Vec::as_slice) {
            let begin = groups[i].1.firsts[0].first;
            let distance = |at: Time| (at - begin).0.abs();
            if distance(found.ts) > AROUND.0 {
                continue;
            }
            let record = QueryRecord::of_contact(found.clone(), names);
            if by.key(&record) == groups[i].0 {
                continue;
            }
            let list = &mut around[i];
            let at = list.partition_point(|(ts, _)| distance(*ts) <= distance(found.ts));
            list.insert(at, (found.ts, contact(&record)));
            list.truncate(NEIGHBOURS);
        }
        std::ops::ControlFlow::Continue(())
    })?;
    for list in &mut around {
        list.sort_by_key(|(ts, _)| *ts);
    }
    Ok(around)
}
