//! The commands that run the live sensor, query the sensor or its store, and change its data.

use std::process::ExitCode;

use clap::Subcommand;

use crate::contract::RowsQuestion;
use crate::query::Subject;

mod ack;
mod detach;
mod doctor;
mod explain;
mod export;
mod forget;
mod import;
mod progress;
mod query;
mod rows;
mod run;
mod status;
mod suspects;

#[derive(Subcommand)]
pub(super) enum Command {
    Run(run::Arguments),
    Status(status::Arguments),
    Suspects(suspects::Arguments),
    Explain(explain::Arguments),
    /// Campaigns: sources that act as one scanner. The campaigns with the most probes come first.
    #[command(after_help = "Example: tattler scanners --since 7d --format csv kind syn")]
    Scanners {
        #[command(flatten)]
        rows: rows::Arguments,
        /// List sources by number of attempts in a form that may be published: without your addresses and
        /// names, and without sources that your addresses had contacted.
        #[arg(long)]
        publish: bool,
    },
    /// Unsolicited packets to our addresses, the latest first.
    #[command(after_help = "Example: tattler probes --since 2d port 22 and not contacted_source")]
    Probes(rows::Counted),
    /// Exchanges that our addresses began, the latest first.
    #[command(after_help = "Example: tattler contacts --first-seen remote in 2a05:d014::/32")]
    Contacts {
        #[command(flatten)]
        rows: rows::Counted,
        /// The first contact with each remote, or each group of --by; with --since only first contacts since then.
        #[arg(long)]
        first_seen: bool,
    },
    /// Our addresses that contacted a remote, the latest used first.
    #[command(after_help = "Example: tattler locals --since 7d exposed")]
    Locals(rows::Counted),
    Ack(ack::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Forget(forget::Arguments),
    Detach(detach::Arguments),
    Doctor(doctor::Arguments),
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Command::Run(arguments) => run::run(arguments),
            Command::Status(arguments) => status::run(&arguments),
            Command::Suspects(arguments) => suspects::run(&arguments),
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Scanners { rows, publish } => {
                rows.ask(Subject::Scanners, RowsQuestion { publish, ..RowsQuestion::default() })
            }
            Command::Probes(rows) => rows.ask(Subject::Probes, false),
            Command::Contacts { rows, first_seen } => rows.ask(Subject::Contacts, first_seen),
            Command::Locals(rows) => rows.ask(Subject::Locals, false),
            Command::Ack(arguments) => ack::run(&arguments),
            Command::Import(arguments) => import::run(&arguments),
            Command::Export(arguments) => export::run(&arguments),
            Command::Forget(arguments) => forget::run(&arguments),
            Command::Detach(arguments) => detach::run(&arguments),
            Command::Doctor(arguments) => doctor::run(arguments),
        }
    }
}

/// The format of a result that has no CSV form.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Plain {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}
