//! `tattler explain`: prints the evidence about one remote.

use std::process::ExitCode;

use ipnet::Ipv6Net;
use tattler_core::explain::{Explanation, explanation_csv, explanation_text};

use super::query::{self, Printer};
use crate::contract::Request;

/// The evidence about one remote, in order of time.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler explain 2a05:d014::53")]
pub(in crate::cli) struct Arguments {
    /// An address or a prefix.
    #[arg(value_parser = tattler_core::remote::parse)]
    remote: Ipv6Net,
    #[command(flatten)]
    query: query::Arguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let query::Arguments { since, until, .. } = arguments.query;
    let request = Request::Explain { remote: arguments.remote.to_string(), since, until };
    let print = Printer::<Explanation> { table: explanation_text, csv: explanation_csv, notes: |_| Vec::new() };
    arguments.query.ask(&request, &print)
}
