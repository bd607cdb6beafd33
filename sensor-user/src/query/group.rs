//! Counts of rows by columns: `--by remote/48,port`.

use std::collections::HashMap;

use ipnet::Ipv6Net;
use serde_json::{Map, Value, json};
use tattler_core::filter::{Field, FilterRow, Type, field};
use tattler_core::time::Time;

use super::record::QueryRecord;
use super::{Kept, Rows, Subject};
use crate::store::ReplayError;

/// Maximum number of columns to count by.
const MOST_COLUMNS: usize = 8;
/// Maximum number of groups: outsiders control the number of sources, and so of groups.
const MOST_GROUPS: usize = 200_000;

/// The columns to count by.
pub(super) struct GroupBy {
    columns: Vec<(String, Part)>,
}

/// The part of a field that forms groups.
#[derive(Clone, Copy)]
enum Part {
    Prefix(Field, u8),
    /// A time field, and the unit in microseconds.
    Times(Field, i64),
    Whole(Field),
}

/// Units of time to count by, in microseconds. They begin at full minutes, hours and days in UTC.
const UNITS: [(&str, i64); 3] = [("minute", 60_000_000), ("hour", 3_600_000_000), ("day", 86_400_000_000)];

/// A value of a column. The rows of a table are sorted by the derived order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Unknown,
    Flag(bool),
    Number(u64),
    Word(&'static str),
    Text(String),
    Net(Ipv6Net),
    Time(Time),
}

impl GroupBy {
    pub(super) fn parse(text: &str, subject: Subject) -> Result<GroupBy, String> {
        let columns: Vec<&str> = text.split(',').map(str::trim).collect();
        if columns.len() > MOST_COLUMNS {
            return Err(format!("--by takes {MOST_COLUMNS} columns at most"));
        }
        let read = |&column: &&str| Ok::<_, String>((column.to_lowercase(), Part::parse(column, subject)?));
        Ok(GroupBy { columns: columns.iter().map(read).collect::<Result<_, _>>()? })
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|(name, _)| name.clone())
    }

    pub(super) fn key(&self, record: &QueryRecord<'_>) -> Vec<Key> {
        self.columns.iter().map(|(_, part)| part.key(record)).collect()
    }

    /// A JSON row with the values of a key.
    pub(super) fn json(&self, key: Vec<Key>) -> Map<String, Value> {
        self.columns().zip(key.into_iter().map(Key::json)).collect()
    }
}

impl Part {
    fn parse(column: &str, subject: Subject) -> Result<Part, String> {
        let (name, of) = column.split_once('/').map_or((column, None), |(name, of)| (name, Some(of)));
        let short = |text: &str| text.chars().take(40).collect::<String>();
        let Some(field) = Field::from_name(name).filter(|field| subject.fields().contains(field)) else {
            let known = field::list(subject.fields());
            return Err(format!("--by: there is no column {:?}: there are {known}", short(name)));
        };
        let wrong = |wanted: &str| Err(format!("--by: {:?} wants {wanted}", short(column)));
        match (field.kind(), of) {
            (Type::Address, of) => match of.map_or(Ok(128), str::parse::<u8>) {
                Ok(length) if length <= 128 => Ok(Part::Prefix(field, length)),
                _ => wrong("a length from 0 to 128 behind the slash"),
            },
            (Type::Time, Some(of)) => match UNITS.iter().find(|(unit, _)| *unit == of) {
                Some(&(_, size)) => Ok(Part::Times(field, size)),
                None => wrong("minute, hour or day behind the slash"),
            },
            (Type::Span, _) => Err(format!("--by: {name} is too fine to count by")),
            (_, None) => Ok(Part::Whole(field)),
            (_, Some(_)) => wrong("no slash"),
        }
    }

    fn key(self, record: &QueryRecord<'_>) -> Key {
        let or_unknown = |key: Option<Key>| key.unwrap_or(Key::Unknown);
        match self {
            Part::Prefix(field, length) => or_unknown(
                record
                    .address(field)
                    .and_then(|address| Ipv6Net::new(address, length).ok().map(|net| Key::Net(net.trunc()))),
            ),
            Part::Times(field, size) => {
                or_unknown(record.time(field).map(|Time(at)| Key::Time(Time(at - at.rem_euclid(size)))))
            }
            Part::Whole(field) => match field.kind() {
                Type::Flag => Key::Flag(record.flag(field)),
                Type::Number(_) => or_unknown(record.number(field).map(Key::Number)),
                Type::Word(..) => or_unknown(record.word(field).map(Key::Word)),
                Type::Time => or_unknown(record.time(field).map(Key::Time)),
                _ => {
                    or_unknown(record.texts(field).into_iter().flatten().next().map(|text| Key::Text(text.to_owned())))
                }
            },
        }
    }
}

impl Key {
    fn json(self) -> Value {
        match self {
            Key::Unknown => Value::Null,
            Key::Flag(flag) => json!(flag),
            Key::Number(number) => json!(number),
            Key::Word(word) => json!(word),
            Key::Text(text) => json!(text),
            Key::Net(net) if net.prefix_len() == 128 => json!(net.addr()),
            Key::Net(net) => json!(net),
            Key::Time(time) => json!(time),
        }
    }
}

/// A limited number of groups, by key.
pub(super) struct BoundedGroups<T> {
    pub(super) groups: HashMap<Vec<Key>, T>,
    left_out: u64,
}

impl<T> BoundedGroups<T> {
    pub(super) fn new() -> Self {
        BoundedGroups { groups: HashMap::new(), left_out: 0 }
    }

    /// The group of a key; `None` if a new group would exceed the limit.
    pub(super) fn group(&mut self, key: Vec<Key>, new: impl FnOnce() -> T) -> Option<&mut T> {
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            self.left_out += 1;
            return None;
        }
        Some(self.groups.entry(key).or_insert_with(new))
    }

    pub(super) fn note(&self) -> Option<String> {
        let rows = self.left_out;
        (rows > 0).then(|| format!("{rows} rows of groups beyond the first {MOST_GROUPS} are not counted; filter more"))
    }
}

struct Counted {
    count: u64,
    rows: u64,
    first: Time,
    last: Time,
}

pub(super) fn counted(rows: &Rows<'_>, by: &GroupBy, limit: usize) -> Result<Kept, ReplayError> {
    let mut groups = BoundedGroups::new();
    let mut notes = rows.each(&mut |record| {
        let new = || Counted { count: 0, rows: 0, first: record.first, last: record.last };
        if let Some(group) = groups.group(by.key(&record), new) {
            group.count += record.count;
            group.rows += 1;
            group.first = group.first.min(record.first);
            group.last = group.last.max(record.last);
        }
    })?;
    notes.extend(groups.note());
    let total = groups.groups.len();
    let mut groups: Vec<_> = groups.groups.into_iter().collect();
    groups.sort_unstable_by(|(a_key, a), (b_key, b)| (b.count, b.rows).cmp(&(a.count, a.rows)).then(a_key.cmp(b_key)));
    groups.truncate(limit);
    let figures = ["count", "rows", "first", "last"];
    Ok(Kept {
        columns: by.columns().chain(figures.map(str::to_owned)).collect(),
        more: (total - groups.len()) as u64,
        rows: groups
            .into_iter()
            .map(|(key, group)| {
                let mut row = by.json(key);
                row.insert("count".into(), json!(group.count));
                row.insert("rows".into(), json!(group.rows));
                row.insert("first".into(), json!(group.first));
                row.insert("last".into(), json!(group.last));
                row
            })
            .collect(),
        notes,
    })
}
