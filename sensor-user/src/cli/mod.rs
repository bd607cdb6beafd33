//! The command line: a file for each command.
//!
//! Results go to standard output, everything else to standard error, one line for each thing that
//! is wrong, with the way out. Exit status 0, 1 for a failure, 2 for usage.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::source;

mod analyze;
mod arguments;
#[cfg(feature = "live")]
mod explain;
mod packets;
#[cfg(feature = "live")]
mod query;
mod reading;
#[cfg(feature = "live")]
mod run;
#[cfg(feature = "live")]
mod status;
#[cfg(feature = "live")]
mod suspects;

/// Finds out who told the scanners about your IPv6 addresses.
#[derive(Parser)]
#[command(name = "tattler", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "live")]
    Run(run::Arguments),
    #[cfg(feature = "live")]
    Status(status::Arguments),
    #[cfg(feature = "live")]
    Suspects(suspects::Arguments),
    #[cfg(feature = "live")]
    Explain(explain::Arguments),
    Analyze(analyze::Arguments),
    Packets(packets::Arguments),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => match arguments.command {
            #[cfg(feature = "live")]
            Command::Run(arguments) => run::run(arguments),
            #[cfg(feature = "live")]
            Command::Status(arguments) => status::run(&arguments),
            #[cfg(feature = "live")]
            Command::Suspects(arguments) => suspects::run(&arguments),
            #[cfg(feature = "live")]
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Analyze(arguments) => analyze::run(&arguments),
            Command::Packets(arguments) => packets::run(&arguments),
        },
        Err(error) => return usage(&error),
    };
    match outcome {
        Ok(status) => status,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("{error:#}"));
            let is_usage = error.is::<Usage>() || error.downcast_ref().is_some_and(source::Error::is_usage);
            if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// How a result is printed.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}

const USAGE: u8 = 2;

/// Arguments that are well formed and make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Help and version are asked for; anything else is one line.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away is no failure.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => complain("no command given: see `tattler --help`"),
        _ => {
            // The first paragraph says what is wrong; hints and usage follow.
            let text = error.to_string();
            let what: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let what = what.join(" ");
            let first = std::env::args_os().nth(1).unwrap_or_default();
            let command = Arguments::command();
            let command = command.find_subcommand(first).map_or(String::new(), |command| format!("{command} "));
            complain(format_args!("{}: see `tattler {command}--help`", what.trim_start_matches("error: ")));
        }
    }
    ExitCode::from(USAGE)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// One line on standard error, whatever names and values it holds.
fn complain(message: impl std::fmt::Display) {
    let mut line = String::from("tattler: ");
    for char in message.to_string().chars() {
        if char.is_control() {
            line.extend(char.escape_default());
        } else {
            line.push(char);
        }
    }
    line.push('\n');
    // Standard error is gone: there is nobody left to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_every_command_are_consistent() {
        // clap checks in debug builds only, and only the command that is called.
        Arguments::command().debug_assert();
    }
}
