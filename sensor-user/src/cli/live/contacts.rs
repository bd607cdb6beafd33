//! `tattler contacts`: exchanges that our addresses began.

use std::process::ExitCode;

use super::rows;
use crate::contract::RowsQuestion;
use crate::query::Subject;

/// Exchanges that our addresses began, the latest first.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler contacts --first-seen remote in 2a05:d014::/32")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    rows: rows::Arguments,
    /// Count by columns, such as remote/48,port: addresses by prefix length, times by minute, hour or day.
    #[arg(long, value_name = "COLUMNS")]
    by: Option<String>,
    /// The first contact with each remote, or each group of --by; with --since only first contacts since then.
    #[arg(long)]
    first_seen: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let own = RowsQuestion { by: arguments.by.clone(), first_seen: arguments.first_seen, ..RowsQuestion::default() };
    arguments.rows.ask(Subject::Contacts, own)
}
