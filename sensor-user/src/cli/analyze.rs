//! `tattler analyze`: finds the suspects in files.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use ipnet::Ipv6Net;
use tattler_core::explain;
use tattler_core::ledger::{Ledger, LedgerCounts, LedgerSettings};
use tattler_core::observation::Observation;
use tattler_core::report;
use tattler_core::time::Time;
use tattler_files::Input;

use super::{Format, arguments, complain, in_order, reading};

/// Find the suspects in files.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler analyze --home 2001:db8:1200::/56 capture.pcap.gz")]
pub(super) struct Arguments {
    /// JSON Lines, pcap or pcapng, firewall logs, flow records of Zeek, nfdump or Suricata, conntrack
    /// events, plain, gzip or zstd; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<OsString>,
    #[command(flatten)]
    reading: reading::Arguments,
    /// A table for people, JSON for programs, CSV for spreadsheets.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Maximum number of candidates; 0 for all.
    #[arg(long, value_name = "N", value_parser = super::whole::<usize>, default_value_t = 20)]
    top: usize,
    /// Show the evidence about this address or prefix instead, as `tattler explain` does.
    #[arg(long, value_name = "REMOTE", value_parser = tattler_core::remote::parse)]
    explain: Option<Ipv6Net>,
    /// Ignore earlier observations: RFC 3339, or a date in UTC.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    since: Option<Time>,
    /// Ignore later observations.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    until: Option<Time>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    in_order(arguments.since, arguments.until)?;
    let inputs: Vec<Input> = arguments.files.iter().map(|file| Input::from_argument(file)).collect();
    let options = arguments.reading.options();
    let began = Instant::now();

    let mut ledger = Ledger::new(LedgerSettings::default());
    let mut observe = |observation: Observation| {
        let ts = observation.ts();
        if arguments.since.is_none_or(|since| since <= ts) && arguments.until.is_none_or(|until| ts <= until) {
            ledger.observe(&observation);
        }
    };
    let summary = tattler_files::read(&inputs, &options, &mut observe, &mut reading::report)?;
    reading::end(&summary, began);
    let left_out = left_out(&ledger.counts());
    if let Some(line) = &left_out {
        complain(line);
    }

    match arguments.explain {
        Some(remote) => {
            arguments.format.print(
                &explain::explain(&ledger, remote),
                explain::explanation_text,
                explain::explanation_csv,
            )?;
        }
        None => {
            let report = report::report(&ledger, &report::ReportOptions { top: arguments.top });
            arguments.format.print(&report, report::suspects_table, report::suspects_csv)?;
        }
    }
    let whole = summary.faults == 0 && left_out.is_none();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The message about rows that did not fit into the ledger; `None` if all fitted.
fn left_out(counts: &LedgerCounts) -> Option<String> {
    let LedgerCounts { evicted_locals: locals, evicted_contacts: contacts, evicted_probes: probes, .. } = *counts;
    let any = locals > 0 || contacts > 0 || probes > 0;
    any.then(|| {
        format!("too much at once: {locals} locals, {contacts} contacts and {probes} probes left out: give --since")
    })
}
