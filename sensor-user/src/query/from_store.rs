//! Answers to all requests from the store, without a sensor. Only the state of a running sensor is missing.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tattler_core::explain;
use tattler_core::filter::FilterError;
use tattler_core::ledger::{self, Ledger};
use tattler_core::remote;
use tattler_core::report::{self, ReportOptions};
use tattler_core::time::Time;
use tattler_core::when;
use thiserror::Error;

use super::{Context, MOST, QueryPlan, Subject};
use crate::config::Config;
use crate::contract::Request;
use crate::contract::RowsQuestion;
use crate::device_names;
use crate::store::{OpenError, Reader, ReplayError};

/// The content of the store. Without a running sensor, the answer to a status request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holdings {
    /// The name of the contract: `tattler.store/1`.
    pub schema: String,
    /// The state directory.
    pub state: String,
    /// The size of the database, in bytes.
    pub store_bytes: u64,
    /// The first time in the window; null if the window has no rows.
    pub from: Option<Time>,
    /// The last time in the window; null if the window has no rows.
    pub to: Option<Time>,
    /// Number of locals with a contact in the window.
    pub locals: u64,
    /// Number of contacts in the window that differ in local, remote, protocol or port.
    pub contacts: u64,
    /// Number of probes in the window, repeats included.
    pub probes: u64,
}

/// The reason for a missing answer.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The state directory can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database can't be read.
    #[error(transparent)]
    Read(#[from] ReplayError),
    /// The filter is invalid.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Another fault of the question or the answer.
    #[error("{0}")]
    Other(String),
}

impl AnswerError {
    /// The damage that SQLite found in the database, if any.
    #[must_use]
    pub fn corruption(&self) -> Option<String> {
        match self {
            AnswerError::Open(OpenError::Damaged { source, .. }) => Some(source.to_string()),
            AnswerError::Read(error @ ReplayError::Damaged { source, .. }) if error.is_corruption() => {
                Some(source.to_string())
            }
            _ => None,
        }
    }
}

impl From<super::QueryError> for AnswerError {
    fn from(error: super::QueryError) -> AnswerError {
        match error {
            super::QueryError::Filter(error) => AnswerError::Filter(error),
            super::QueryError::Usage(line) => AnswerError::Other(line),
            super::QueryError::Read(error) => AnswerError::Read(error),
        }
    }
}

/// Answers a request from the store in `dir`, with the names of a configuration.
///
/// # Errors
/// One line, with advice.
pub fn ask(dir: &Path, request: &Request, config: &Config, now: Time, read: &AtomicU64) -> Result<Value, AnswerError> {
    let reader = Reader::open(dir)?;
    let names = device_names::names(&config.names, &config.home.public, reader.device_key()?.as_ref());
    answer_of(&reader, dir, request, &Context { names: &names, now, most: MOST, read })
}

/// Answers a request from the store in `dir`.
///
/// # Errors
/// One line, with advice.
pub fn answer(dir: &Path, request: &Request, context: &Context<'_>) -> Result<Value, AnswerError> {
    answer_of(&Reader::open(dir)?, dir, request, context)
}

fn answer_of(reader: &Reader, dir: &Path, request: &Request, context: &Context<'_>) -> Result<Value, AnswerError> {
    let rows = |subject: Subject, question: &RowsQuestion| {
        Ok::<_, AnswerError>(QueryPlan::new(subject, question, context.now)?.answer(reader, context)?.into_value())
    };
    match request {
        Request::Probes(question) => rows(Subject::Probes, question),
        Request::Contacts(question) => rows(Subject::Contacts, question),
        Request::Locals(question) => rows(Subject::Locals, question),
        Request::Scanners(question) => rows(Subject::Scanners, question),
        &Request::Status { since, until } => value(&holdings(reader, dir, since, until)?),
        &Request::Suspects { top, since, until } => {
            let options = ReportOptions { top: top.unwrap_or(ReportOptions::default().top) };
            let mut report = report::report(&ledger(reader, since, until, context)?, &options);
            report.mark_acked(&reader.acks()?, context.now);
            report.candidates.iter_mut().for_each(|candidate| candidate.name(context.names));
            value(&report)
        }
        &Request::Explain { ref remote, since, until } => {
            let remote: Ipv6Net = remote::parse(remote).map_err(AnswerError::Other)?;
            let mut explanation = explain::explain(&ledger(reader, since, until, context)?, remote);
            explanation.name(context.names);
            value(&explanation)
        }
        Request::Acks {} => value(&reader.acks()?),
        Request::Forget { .. } | Request::Ack { .. } | Request::Unack { .. } => {
            Err(AnswerError::Other("this request changes the diary, but a query only reads it".to_owned()))
        }
    }
}

/// The content of the store between two times.
///
/// # Errors
/// Errors of the store.
pub fn holdings(
    reader: &Reader,
    dir: &Path,
    since: Option<Time>,
    until: Option<Time>,
) -> Result<Holdings, AnswerError> {
    let (since, until) = window(since, until)?;
    let totals = reader.totals(since, until)?;
    Ok(Holdings {
        schema: "tattler.store/1".to_owned(),
        state: dir.display().to_string(),
        store_bytes: reader.size(),
        from: totals.span.map(|span| span.0),
        to: totals.span.map(|span| span.1),
        locals: totals.locals,
        contacts: totals.contacts,
        probes: totals.probes,
    })
}

/// The ledger of the rows between two times. If `since` is `None`, the ledger covers the window length of a live
/// ledger, up to the last observation.
fn ledger(
    reader: &Reader,
    since: Option<Time>,
    until: Option<Time>,
    context: &Context<'_>,
) -> Result<Ledger, AnswerError> {
    let live = ledger::LedgerSettings::live();
    let (from, until) = window(since, until)?;
    let from = match (since, live.window) {
        (None, Some(window)) => reader.totals(from, until)?.span.map_or(from, |(_, last)| last.min(until) - window),
        _ => from,
    };
    // The ledger has no window, so that it does not delete old rows.
    let mut ledger =
        Ledger::new(ledger::LedgerSettings { window: None, public: context.names.public().to_vec(), ..live });
    reader.replay(from, until, &mut |observation| {
        ledger.observe(&observation);
        context.read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    })?;
    Ok(ledger)
}

fn window(since: Option<Time>, until: Option<Time>) -> Result<(Time, Time), AnswerError> {
    when::in_order(since, until).map_err(AnswerError::Other)?;
    Ok((since.unwrap_or(Time(i64::MIN)), until.unwrap_or(Time(i64::MAX))))
}

fn value(answer: &impl Serialize) -> Result<Value, AnswerError> {
    serde_json::to_value(answer).map_err(|error| AnswerError::Other(format!("cannot write the answer: {error}")))
}
