//! `tattler suspects`: who leaks.

use std::process::ExitCode;

use super::query;
use crate::report::{Report, all_suspects_table, suspects_table};
use crate::socket::Request;

/// Who told the scanners, as the running sensor sees it.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler suspects --top 5")]
pub(super) struct Arguments {
    #[command(flatten)]
    query: query::Arguments,
    /// The longest list of candidates; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show acknowledged ones too; JSON always has them, with `acked`.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let table = if arguments.all { all_suspects_table } else { suspects_table };
    arguments.query.ask::<Report>(&Request::Suspects { top: Some(arguments.top) }, table)
}
