//! `tattler scanners`: the sources of probes.

use std::process::ExitCode;

use super::rows;
use crate::contract::RowsQuestion;
use crate::query::Subject;

/// Campaigns: sources that act as one scanner, those with the most probes first.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler scanners --since 7d --format csv kind syn")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    rows: rows::Arguments,
    /// List sources by number of attempts in a form that may be published: without your addresses and
    /// names, and without sources that your addresses had contacted.
    #[arg(long)]
    publish: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.rows.ask(Subject::Scanners, RowsQuestion { publish: arguments.publish, ..RowsQuestion::default() })
}
