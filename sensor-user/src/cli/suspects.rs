//! `tattler suspects`: who leaks.

use std::process::ExitCode;

use super::query;
use crate::report::{Report, suspects_table};
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
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.query.ask::<Report>(&Request::Suspects { top: Some(arguments.top) }, suspects_table)
}
