//! What is asked of the store: `probes`, `contacts`, `locals`, `scanners`.
//!
//! The rows are streamed past the filter; what is kept of them has a bound, and what did not fit is
//! said in the answer. The sensor runs this for whoever asks through the socket, the command itself
//! for whoever may read the database.
//!
//! # Layout
//! - this file: a question, its answer
//! - [`record`]: a row, for the filter and for JSON
//! - `latest`, `group`, `begin`, `scanners`, `locals`: what is kept
//! - [`from_store`]: every question that the store alone answers
//! - [`table`], [`csv`]: an answer for people and for spreadsheets

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
use thiserror::Error;

use self::group::By;
use self::record::Record;
use crate::contract::{RowsAnswer, RowsQuestion};
use crate::store::{Reader, ReplayError};

/// Rows in an answer unless told otherwise.
pub const USUAL: u64 = 50;
/// Rows of an answer through the socket, which the sensor holds in memory.
pub const MOST_THROUGH_SOCKET: u64 = 10_000;
/// Rows of an answer that the command itself takes from the store.
pub const MOST: u64 = 100_000;
/// Parts of a question of one kind.
const MOST_EXCEPTIONS: usize = 100;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Unsolicited packets.
    Probes,
    /// Exchanges that ours began.
    Contacts,
    /// Our addresses.
    Locals,
    /// Campaigns that probes belong to.
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

    /// What a filter may ask about: of scanners it asks about their probes.
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

/// What an answer is made with.
pub struct Context<'a> {
    /// Names of devices and prefixes.
    pub names: &'a Names,
    /// The wall clock.
    pub now: Time,
    /// Rows of an answer, whatever the limit.
    pub most: u64,
    /// Counts the rows that were read, for who watches.
    pub read: &'a AtomicU64,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Error {
    /// A filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A question that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The store.
    #[error(transparent)]
    Read(#[from] ReplayError),
}

/// A question that makes sense.
pub struct Plan {
    subject: Subject,
    since: Option<Time>,
    until: Option<Time>,
    filter: Option<Filter>,
    except: Vec<Filter>,
    by: Option<By>,
    first_seen: bool,
    publish: bool,
    limit: u64,
}

impl Plan {
    /// Reads a question.
    ///
    /// # Errors
    /// What is wrong with it, before anything is read.
    pub fn new(subject: Subject, question: &RowsQuestion, now: Time) -> Result<Plan, Error> {
        let usage = |line: &str| Err(Error::Usage(line.to_owned()));
        if let (Some(since), Some(until)) = (question.since, question.until)
            && since > until
        {
            return Err(Error::Usage(format!("--since {since} is after --until {until}: exchange them")));
        }
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
        Ok(Plan {
            subject,
            since: question.since,
            until: question.until,
            filter: question.filter.as_ref().map(read).transpose()?,
            except: question.except.iter().map(read).collect::<Result<_, _>>()?,
            by: by.map(|by| By::parse(by, subject).map_err(Error::Usage)).transpose()?,
            first_seen: question.first_seen,
            publish: question.publish,
            limit: question.limit.unwrap_or(USUAL),
        })
    }

    /// Answers it from the store.
    ///
    /// # Errors
    /// The store's.
    pub fn answer(&self, reader: &Reader, context: &Context<'_>) -> Result<RowsAnswer, Error> {
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

    fn passes(&self, record: &Record<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes(record))
            && !self.except.iter().any(|filter| filter.passes(record))
    }
}

/// What a query kept.
struct Kept {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    more: u64,
    notes: Vec<String>,
}

/// The records that a question is about.
struct Rows<'a> {
    plan: &'a Plan,
    reader: &'a Reader,
    context: &'a Context<'a>,
    exposed: HashSet<Ipv6Addr>,
}

impl<'a> Rows<'a> {
    /// Hands out each record that passes; says what was left out.
    fn each(&self, give: &mut dyn FnMut(Record<'a>)) -> Result<Vec<String>, ReplayError> {
        self.each_between(self.plan.from(), self.plan.to(), give)
    }

    fn each_between(
        &self,
        since: Time,
        until: Time,
        give: &mut dyn FnMut(Record<'a>),
    ) -> Result<Vec<String>, ReplayError> {
        let names = self.context.names;
        let mut pass = |mut record: Record<'a>| {
            self.context.read.fetch_add(1, Relaxed);
            record.exposed = self.exposed.contains(&record.local);
            if self.plan.passes(&record) {
                give(record);
            }
            ControlFlow::Continue(())
        };
        match self.plan.subject {
            Subject::Probes | Subject::Scanners => {
                self.reader.probes(since, until, &mut |probe| pass(Record::of_probe(probe, names)))?;
            }
            Subject::Contacts => {
                self.reader.contacts(since, until, &mut |contact| pass(Record::of_contact(contact, names)))?;
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
