//! `tattler explain`: the evidence about one remote.

use std::process::ExitCode;

use ipnet::Ipv6Net;

use super::query;
use crate::report::{Explanation, explanation_text};
use crate::socket::Request;

/// The evidence about one remote, in order of time.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler explain 2a05:d014::53")]
pub(super) struct Arguments {
    /// An address or a prefix.
    #[arg(value_parser = crate::agent::parse_remote)]
    remote: Ipv6Net,
    #[command(flatten)]
    query: query::Arguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let request = Request::Explain { remote: arguments.remote.to_string() };
    arguments.query.ask::<Explanation>(&request, explanation_text)
}
