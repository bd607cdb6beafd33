//! `tattler locals`: our addresses.

use std::process::ExitCode;

use super::rows;
use crate::contract::RowsQuestion;
use crate::query::Subject;

/// Our addresses that contacted a remote, the latest used first.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler locals --since 7d exposed")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    rows: rows::Arguments,
    /// Count by columns, such as remote/48,port: addresses by prefix length, times by minute, hour or day.
    #[arg(long, value_name = "COLUMNS")]
    by: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.rows.ask(Subject::Locals, RowsQuestion { by: arguments.by.clone(), ..RowsQuestion::default() })
}
