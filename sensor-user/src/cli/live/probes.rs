//! `tattler probes`: unsolicited packets.

use std::process::ExitCode;

use super::rows;
use crate::contract::RowsQuestion;
use crate::query::Subject;

/// Unsolicited packets to our addresses, the latest first.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler probes --since 2d port 22 and not contacted_source")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    rows: rows::Arguments,
    /// Count by columns, such as remote/48,port: addresses by prefix length, times by minute, hour or day.
    #[arg(long, value_name = "COLUMNS")]
    by: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.rows.ask(Subject::Probes, RowsQuestion { by: arguments.by.clone(), ..RowsQuestion::default() })
}
