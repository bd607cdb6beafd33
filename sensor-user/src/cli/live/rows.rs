//! `tattler probes`, `contacts`, `locals` and `scanners`: list or count rows, by filter and limit.

use std::process::ExitCode;

use anyhow::Result;

use super::query::{self, Printer, width};
use crate::cli::{Usage, arguments};
use crate::contract::{Request, RowsAnswer, RowsQuestion};
use crate::query::{self as queries, QueryPlan, Subject};

/// The filter and the limit.
#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Arguments {
    /// Only rows that pass, such as port 22 and not device "printer". The error for an unknown field lists
    /// all fields.
    #[arg(value_name = "FILTER")]
    words: Vec<String>,
    /// The filter as one argument.
    #[arg(long, value_name = "FILTER", conflicts_with = "words")]
    filter: Option<String>,
    /// Leave out rows that pass this filter, such as rows of known good sources; may be given again.
    #[arg(long, value_name = "FILTER")]
    except: Vec<String>,
    /// Maximum number of rows; 0 for as many as an answer can hold.
    #[arg(long, value_name = "N", value_parser = crate::cli::whole::<u64>, default_value_t = queries::USUAL)]
    limit: u64,
    #[command(flatten)]
    query: query::Arguments,
}

/// The arguments of queries whose rows can be counted.
#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Counted {
    #[command(flatten)]
    rows: Arguments,
    /// Count by columns, such as remote/48,port: addresses by prefix length, times by minute, hour or day.
    #[arg(long, value_name = "COLUMNS")]
    by: Option<String>,
}

impl Counted {
    pub(super) fn ask(self, subject: Subject, first_seen: bool) -> Result<ExitCode> {
        self.rows.ask(subject, RowsQuestion { by: self.by, first_seen, ..RowsQuestion::default() })
    }
}

impl Arguments {
    /// Sends the query; `own` has the options that only this query has.
    pub(super) fn ask(&self, subject: Subject, own: RowsQuestion) -> Result<ExitCode> {
        let words = (!self.words.is_empty()).then(|| self.words.join(" "));
        let question = RowsQuestion {
            since: self.query.since,
            until: self.query.until,
            filter: self.filter.clone().or(words),
            except: self.except.clone(),
            limit: Some(self.limit),
            ..own
        };
        // Report an invalid question even without a sensor.
        QueryPlan::new(subject, &question, arguments::now()).map_err(|error| match error {
            queries::QueryError::Usage(line) => anyhow::Error::new(Usage(line)),
            queries::QueryError::Filter(error) => error.into(),
            queries::QueryError::Read(error) => error.into(),
        })?;
        let request = match subject {
            Subject::Probes => Request::Probes(question),
            Subject::Contacts => Request::Contacts(question),
            Subject::Locals => Request::Locals(question),
            Subject::Scanners => Request::Scanners(question),
        };
        self.query.ask(&request, &Printer { table, csv: queries::csv::write, notes })
    }
}

fn table(answer: &RowsAnswer) -> String {
    if answer.rows.is_empty() {
        return "nothing matches\n".to_owned();
    }
    queries::table::table(answer, width())
}

fn notes(answer: &RowsAnswer) -> Vec<String> {
    let more = match answer.more {
        0 => None,
        more if answer.rows.len() as u64 >= queries::MOST_THROUGH_SOCKET => {
            Some(format!("{more} more than an answer can hold: narrow it with a filter, --since or --until"))
        }
        more => Some(format!("{more} more: raise --limit")),
    };
    more.into_iter().chain(answer.notes.clone()).collect()
}
