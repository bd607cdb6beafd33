//! The commands of the live sensor: run it, query it or its store, and change its data.

use std::process::ExitCode;

use clap::Subcommand;

mod ack;
mod contacts;
mod detach;
mod doctor;
mod explain;
mod export;
mod forget;
mod import;
mod locals;
mod probes;
mod progress;
mod query;
mod rows;
mod run;
mod scanners;
mod status;
mod suspects;

#[derive(Subcommand)]
pub(super) enum Command {
    Run(run::Arguments),
    Status(status::Arguments),
    Suspects(suspects::Arguments),
    Explain(explain::Arguments),
    Scanners(scanners::Arguments),
    Probes(probes::Arguments),
    Contacts(contacts::Arguments),
    Locals(locals::Arguments),
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
            Command::Scanners(arguments) => scanners::run(&arguments),
            Command::Probes(arguments) => probes::run(&arguments),
            Command::Contacts(arguments) => contacts::run(&arguments),
            Command::Locals(arguments) => locals::run(&arguments),
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
