//! `tattler suspects`: lists remotes that leak.

use std::process::ExitCode;

use tattler_core::report::{Report, all_suspects_table, suspects_csv, suspects_table};

use super::query::{self, Printer};
use crate::contract::Request;

/// Remotes that told the scanners about your addresses, by the running sensor's data.
///
/// With --since or --until, by the data in the store.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler suspects --top 5")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    query: query::Arguments,
    /// Maximum number of candidates; 0 for all.
    #[arg(long, value_name = "N", value_parser = crate::cli::whole::<usize>, default_value_t = 20)]
    top: usize,
    /// Show acknowledged suspects too; JSON always includes them, with `acked`.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let query::Arguments { since, until, .. } = arguments.query;
    let request = Request::Suspects { top: Some(arguments.top), since, until };
    let table = if arguments.all { all_suspects_table } else { suspects_table };
    arguments.query.ask(&request, &Printer::<Report> { table, csv: suspects_csv, notes: |_| Vec::new() })
}
