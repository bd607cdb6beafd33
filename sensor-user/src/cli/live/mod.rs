//! The commands of the live sensor: run it, query it or its store, and change its data.

use std::process::ExitCode;

use clap::Subcommand;

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
    /// Campaigns: sources that act as one scanner, those with the most probes first.
    #[command(after_help = "Example: tattler scanners --since 7d --format csv kind syn")]
    Scanners(rows::Scanners),
    /// Unsolicited packets to our addresses, the latest first.
    #[command(after_help = "Example: tattler probes --since 2d port 22 and not contacted_source")]
    Probes(rows::Counted),
    /// Exchanges that our addresses began, the latest first.
    #[command(after_help = "Example: tattler contacts --first-seen remote in 2a05:d014::/32")]
    Contacts(rows::Contacts),
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
            Command::Scanners(arguments) => arguments.ask(),
            Command::Probes(arguments) => arguments.ask(Subject::Probes, false),
            Command::Contacts(arguments) => arguments.ask(),
            Command::Locals(arguments) => arguments.ask(Subject::Locals, false),
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
