//! Questions that the store alone answers: all of them, but for how a running sensor is.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tattler_core::explain;
use tattler_core::filter::FilterError;
use tattler_core::ledger::{self, Ledger};
use tattler_core::remote;
use tattler_core::report::{self, Options};
use tattler_core::time::Time;
use thiserror::Error;

use super::{Context, MOST, Plan, Subject};
use crate::config::Config;
use crate::contract::Request;
use crate::contract::RowsQuestion;
use crate::store::{OpenError, Reader, ReplayError};
use crate::told;

/// What the store holds: the status where no sensor runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holdings {
    /// `tattler.store/1`.
    pub schema: String,
    /// The state directory.
    pub state: String,
    /// The size of the database, in bytes.
    pub store_bytes: u64,
    /// The first of anything in the window; null if there is nothing.
    pub from: Option<Time>,
    /// The last.
    pub to: Option<Time>,
    /// Locals with a contact within the window.
    pub locals: u64,
    /// Contacts within the window: local, remote, protocol and port.
    pub contacts: u64,
    /// Probes within the window, repeats included.
    pub probes: u64,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Error {
    /// The state directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Read(#[from] ReplayError),
    /// A filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The question, or the answer.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// What is wrong with the database, if SQLite found damage.
    #[must_use]
    pub fn corruption(&self) -> Option<String> {
        match self {
            Error::Open(OpenError::Damaged { source, .. }) => Some(source.to_string()),
            Error::Read(error @ ReplayError::Damaged { source, .. }) if error.is_corruption() => {
                Some(source.to_string())
            }
            _ => None,
        }
    }
}

impl From<super::Error> for Error {
    fn from(error: super::Error) -> Error {
        match error {
            super::Error::Filter(error) => Error::Filter(error),
            super::Error::Usage(line) => Error::Other(line),
            super::Error::Read(error) => Error::Read(error),
        }
    }
}

/// Answers a question from the store in `dir`, without a sensor, in the words of a configuration.
///
/// # Errors
/// One line, with the way out.
pub fn ask(dir: &Path, request: &Request, config: &Config, now: Time, read: &AtomicU64) -> Result<Value, Error> {
    let reader = Reader::open(dir)?;
    let names = told::names(&config.names, &config.home.public, reader.device_key()?.as_ref());
    answer_of(&reader, dir, request, &Context { names: &names, now, most: MOST, read })
}

/// Answers a question from the store in `dir`.
///
/// # Errors
/// One line, with the way out.
pub fn answer(dir: &Path, request: &Request, context: &Context<'_>) -> Result<Value, Error> {
    answer_of(&Reader::open(dir)?, dir, request, context)
}

fn answer_of(reader: &Reader, dir: &Path, request: &Request, context: &Context<'_>) -> Result<Value, Error> {
    let rows = |subject: Subject, question: &RowsQuestion| {
        Ok::<_, Error>(Plan::new(subject, question, context.now)?.answer(reader, context)?.into_value())
    };
    match request {
        Request::Probes(question) => rows(Subject::Probes, question),
        Request::Contacts(question) => rows(Subject::Contacts, question),
        Request::Locals(question) => rows(Subject::Locals, question),
        Request::Scanners(question) => rows(Subject::Scanners, question),
        &Request::Status { since, until } => value(&holdings(reader, dir, since, until)?),
        &Request::Suspects { top, since, until } => {
            let options = Options { top: top.unwrap_or(Options::default().top) };
            let mut report = report::report(&ledger(reader, since, until, context)?, &options);
            report.mark_acked(&reader.acks()?, context.now);
            report.candidates.iter_mut().for_each(|candidate| candidate.name(context.names));
            value(&report)
        }
        &Request::Explain { ref remote, since, until } => {
            let remote: Ipv6Net = remote::parse(remote).map_err(Error::Other)?;
            let mut explanation = explain::explain(&ledger(reader, since, until, context)?, remote);
            explanation.name(context.names);
            value(&explanation)
        }
        Request::Acks {} => value(&reader.acks()?),
        Request::Forget { .. } | Request::Ack { .. } | Request::Unack { .. } => {
            Err(Error::Other("that changes the diary, and a query only reads it".to_owned()))
        }
    }
}

/// What there is between two times.
///
/// # Errors
/// The store's.
pub fn holdings(reader: &Reader, dir: &Path, since: Option<Time>, until: Option<Time>) -> Result<Holdings, Error> {
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

/// The ledger as it was between two times. Without a beginning it covers what a live one covers, up
/// to the last observation.
fn ledger(reader: &Reader, since: Option<Time>, until: Option<Time>, context: &Context<'_>) -> Result<Ledger, Error> {
    let live = ledger::Settings::live();
    let (from, until) = window(since, until)?;
    let from = match (since, live.window) {
        (None, Some(window)) => reader.totals(from, until)?.span.map_or(from, |(_, last)| last.min(until) - window),
        _ => from,
    };
    // What was asked for stays, however old it is.
    let mut ledger = Ledger::new(ledger::Settings { window: None, public: context.names.public().to_vec(), ..live });
    reader.replay(from, until, &mut |observation| {
        ledger.observe(&observation);
        context.read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    })?;
    Ok(ledger)
}

fn window(since: Option<Time>, until: Option<Time>) -> Result<(Time, Time), Error> {
    match (since, until) {
        (Some(since), Some(until)) if since > until => {
            Err(Error::Other(format!("--since {since} is after --until {until}: exchange them")))
        }
        _ => Ok((since.unwrap_or(Time(i64::MIN)), until.unwrap_or(Time(i64::MAX)))),
    }
}

fn value(answer: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(answer).map_err(|error| Error::Other(format!("cannot write the answer: {error}")))
}
