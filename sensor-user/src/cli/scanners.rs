//! `tattler scanners`: who probes, by prefix.

use std::process::ExitCode;

use super::rows;
use crate::query::Subject;

/// Prefixes that probes come from, those with the most first.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler scanners --since 7d --format csv kind syn")]
pub(super) struct Arguments {
    #[command(flatten)]
    rows: rows::Arguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.rows.ask(Subject::Scanners, None, false)
}
