//! Queries of the store: `probes`, `contacts`, `locals`, `scanners`.
//!
//! Rows are read one at a time and filtered. The size of the result is limited; notes in the answer name omissions.
//! The sensor runs queries that come through the socket; with `--state` the command itself runs the query.
//!
//! # Layout
//! - this file: from question to answer
//! - [`record`]: a row, for the filter and for JSON
//! - `latest`, `group`, `begin`, `scanners`, `locals`: the kinds of result
//! - [`from_store`]: all requests that the store alone can answer
//! - [`table`], [`csv`]: the output formats

mod begin;
pub mod csv;
pub mod from_store;
mod group;
mod latest;
mod locals;
pub mod record;
mod scanners;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Map, Value};
use tattler_core::filter::{self, Field, Filter, FilterError};
use tattler_core::names::Names;
use tattler_core::time::Time;
use tattler_core::when;
use thiserror::Error;

use self::group::GroupBy;
use self::record::QueryRecord;
use crate::contract::{RowsAnswer, RowsQuestion};
use crate::store::{Reader, ReplayError};

/// Number of rows in an answer by default.
pub const USUAL: u64 = 50;
/// Maximum number of rows in an answer through the socket: the sensor holds the answer in memory.
pub const MOST_THROUGH_SOCKET: u64 = 10_000;
/// Maximum number of rows in an answer if the command itself reads the store.
pub const MOST: u64 = 100_000;
/// Maximum number of `--except` filters in a question.
const MOST_EXCEPTIONS: usize = 100;

/// The subject of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Unsolicited packets.
    Probes,
    /// Exchanges that locals began.
    Contacts,
    /// Our addresses.
    Locals,
    /// Campaigns.
    Scanners,
}

impl Subject {
    /// The name of the query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Probes => "probes",
            Subject::Contacts => "contacts",
            Subject::Locals => "locals",
            Subject::Scanners => "scanners",
        }
    }

    /// The fields that a filter may use. A filter of scanners uses the fields of their probes.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        use Field::*;
        match self {
            Subject::Probes | Subject::Scanners => &[
                Local,
                Remote,
                Kind,
                Proto,
                Port,
                SourcePort,
                HopLimit,
                Count,
                Iid,
                Device,
                Name,
                First,
                Answered,
                ContactedSource,
                Exposed,
                Public,
            ],
            Subject::Contacts => {
                &[Local, Remote, Proto, Port, LocalPort, Count, Name, Iid, Device, First, Last, Lasted, Exposed, Public]
            }
            Subject::Locals => &[Local, Iid, Device, Count, First, Last, Lasted, Exposed, Public],
        }
    }
}

/// Data needed to answer a query, besides the store.
pub struct Context<'a> {
    /// Names of devices and prefixes.
    pub names: &'a Names,
    /// The current time of the wall clock.
    pub now: Time,
    /// Maximum number of rows, even if the question's limit is larger.
    pub most: u64,
    /// Counts the rows read, to show progress.
    pub read: &'a AtomicU64,
}

/// The reason for a missing answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// A filter is invalid.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Parts of the question contradict each other.
    #[error("{0}")]
    Usage(String),
    /// The store can't be read.
    #[error(transparent)]
    Read(#[from] ReplayError),
}

/// A validated question.
pub struct QueryPlan {
    subject: Subject,
    since: Option<Time>,
    until: Option<Time>,
    filter: Option<Filter>,
    except: Vec<Filter>,
    by: Option<GroupBy>,
    first_seen: bool,
    publish: bool,
    limit: u64,
}

impl QueryPlan {
    /// Validates a question before anything is read.
    ///
    /// # Errors
    /// The fault of the question.
    pub fn new(subject: Subject, question: &RowsQuestion, now: Time) -> Result<QueryPlan, QueryError> {
        let usage = |line: &str| Err(QueryError::Usage(line.to_owned()));
        when::in_order(question.since, question.until).map_err(QueryError::Usage)?;
        if question.first_seen && subject != Subject::Contacts {
            return usage("--first-seen is for contacts");
        }
        if question.by.is_some() && subject == Subject::Scanners {
            return usage("scanners are counted already: `tattler probes --by` counts by other columns");
        }
        if question.publish && subject != Subject::Scanners {
            return usage("--publish is for scanners");
        }
        if question.except.len() > MOST_EXCEPTIONS {
            return usage("too many --except: put them into one with `or`");
        }
        let read = |text: &String| filter::parse(text, subject.fields(), now);
        let default = question.first_seen.then_some("remote");
        let by = question.by.as_deref().or(default);
        Ok(QueryPlan {
            subject,
            since: question.since,
            until: question.until,
            filter: question.filter.as_ref().map(read).transpose()?,
            except: question.except.iter().map(read).collect::<Result<_, _>>()?,
            by: by.map(|by| GroupBy::parse(by, subject).map_err(QueryError::Usage)).transpose()?,
            first_seen: question.first_seen,
            publish: question.publish,
            limit: question.limit.unwrap_or(USUAL),
        })
    }

    /// Answers the question from the store.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn answer(&self, reader: &Reader, context: &Context<'_>) -> Result<RowsAnswer, QueryError> {
        let limit = match self.limit {
            0 => context.most,
            limit => limit.min(context.most),
        } as usize;
        let rows = Rows { plan: self, reader, context, exposed: reader.exposed()? };
        let kept = match (self.subject, &self.by) {
            (Subject::Contacts, Some(by)) if self.first_seen => begin::began(&rows, by, limit)?,
            (_, Some(by)) => group::counted(&rows, by, limit)?,
            (Subject::Scanners, None) if self.publish => scanners::sources(&rows, limit)?,
            (Subject::Scanners, None) => scanners::scanners(&rows, limit)?,
            (_, None) => latest::latest(&rows, limit)?,
        };
        Ok(RowsAnswer {
            schema: format!("tattler.{}/1", if self.publish { "sources" } else { self.subject.as_str() }),
            since: self.since,
            until: self.until,
            columns: kept.columns,
            rows: kept.rows,
            more: kept.more,
            notes: kept.notes,
        })
    }

    fn from(&self) -> Time {
        self.since.unwrap_or(Time(i64::MIN))
    }

    fn to(&self) -> Time {
        self.until.unwrap_or(Time(i64::MAX))
    }

    fn passes(&self, record: &QueryRecord<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes(record))
            && !self.except.iter().any(|filter| filter.passes(record))
    }
}

/// The result of a query.
struct Kept {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    more: u64,
    notes: Vec<String>,
}

/// The rows of a query.
struct Rows<'a> {
    plan: &'a QueryPlan,
    reader: &'a Reader,
    context: &'a Context<'a>,
    exposed: HashSet<Ipv6Addr>,
}

impl<'a> Rows<'a> {
    /// Calls `give` for each record that passes the filters; returns notes on omissions.
    fn each(&self, give: &mut dyn FnMut(QueryRecord<'a>)) -> Result<Vec<String>, ReplayError> {
        self.each_between(self.plan.from(), self.plan.to(), give)
    }

    fn each_between(
        &self,
        since: Time,
        until: Time,
        give: &mut dyn FnMut(QueryRecord<'a>),
    ) -> Result<Vec<String>, ReplayError> {
        let names = self.context.names;
        let mut pass = |mut record: QueryRecord<'a>| {
            self.context.read.fetch_add(1, Relaxed);
            record.exposed = self.exposed.contains(&record.local);
            if self.plan.passes(&record) {
                give(record);
            }
            ControlFlow::Continue(())
        };
        match self.plan.subject {
            Subject::Probes | Subject::Scanners => {
                self.reader.probes(since, until, &mut |probe| pass(QueryRecord::of_probe(probe, names)))?;
            }
            Subject::Contacts => {
                self.reader.contacts(since, until, &mut |contact| pass(QueryRecord::of_contact(contact, names)))?;
            }
            Subject::Locals => {
                return locals::each(self.reader, since, until, self.context, &mut |record| {
                    let _ = pass(record);
                });
            }
        }
        Ok(Vec::new())
    }
}
