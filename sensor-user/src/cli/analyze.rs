//! `tattler analyze`: files to suspects.

use std::ffi::OsString;
use std::process::ExitCode;

use ipnet::Ipv6Net;

use super::{arguments, complain};
use crate::source::{self, Input, Options};
use crate::time::Time;

/// Find the suspects in files.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// JSON Lines, pcap or pcapng, plain, gzip or zstd; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    /// What is home in captures; may be given more than once. Found out if it is not given.
    #[arg(long, value_name = "PREFIX", value_parser = arguments::home)]
    home: Vec<Ipv6Net>,
    /// A table for people, JSON for programs.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The longest list of candidates; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Leave out what is earlier: RFC 3339, or a date in UTC.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    since: Option<Time>,
    /// Leave out what is later.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    until: Option<Time>,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let inputs: Vec<Input> = arguments.files.iter().map(|file| Input::from_argument(file)).collect();
    let options = Options { home: arguments.home.clone() };
    let wanted =
        |ts| arguments.since.is_none_or(|since| since <= ts) && arguments.until.is_none_or(|until| ts <= until);
    let mut observations = 0;
    let mut observe = |observation: crate::observation::Observation| {
        if wanted(observation.ts()) {
            observations += 1;
        }
    };
    let summary = source::read(&inputs, &options, &mut observe, &mut |fault| complain(fault))?;
    let _ = (arguments.format, arguments.top);
    eprintln!("{observations} {summary:?}");
    Ok(if summary.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
