//! The command line: a file for each command.
//!
//! Results go to standard output, everything else to standard error, one line for each thing that
//! is wrong, with the way out. Exit status 0, 1 for a failure, 2 for usage.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{FromArgMatches, Parser, Subcommand};
use tattler_core::filter::FilterError;
use tattler_files::reason;

mod analyze;
mod arguments;
mod check_config;
mod completions;
mod help;
#[cfg(feature = "live")]
mod live;
mod man;
mod packets;
mod reading;
mod terminal;
mod version;

/// Finds out who told the scanners about your IPv6 addresses.
#[derive(Parser)]
#[command(
    name = "tattler",
    version,
    after_help = "Example: tattler analyze capture.pcap\n\n--version --verbose: also the kernel programs by hash, and what built them"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "live")]
    #[command(flatten)]
    Live(live::Command),
    Analyze(analyze::Arguments),
    Packets(packets::Arguments),
    CheckConfig(check_config::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // clap would end at the first of the two arguments.
    if version::is_asked_for() {
        return match io::stdout().write_all(version::verbose().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let parsed = help::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let outcome = match parsed {
        Ok(arguments) => match arguments.command {
            #[cfg(feature = "live")]
            Command::Live(command) => command.run(),
            Command::Analyze(arguments) => analyze::run(&arguments),
            Command::Packets(arguments) => packets::run(&arguments),
            Command::CheckConfig(arguments) => check_config::run(&arguments),
            Command::Completions(arguments) => completions::run(&arguments),
            Command::Man(arguments) => man::run(&arguments),
        },
        Err(error) => return usage(&error),
    };
    match outcome {
        Ok(status) => status,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(one_line(&error));
            let filter = error.downcast_ref::<FilterError>();
            filter.iter().for_each(|error| point(error));
            let is_usage = filter.is_some()
                || error.is::<Usage>()
                || error.downcast_ref().is_some_and(tattler_files::ReadError::is_usage);
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
    /// CSV for spreadsheets.
    Csv,
}

const USAGE: u8 = 2;

/// A whole number.
fn whole<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number".to_owned())
}

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
            let command = help::command();
            let command = command.find_subcommand(first).map_or(String::new(), |command| format!("{command} "));
            complain(format_args!("{}: see `tattler {command}--help`", what.trim_start_matches("error: ")));
        }
    }
    ExitCode::from(USAGE)
}

/// An error and its causes, each said once: many name their cause in their own line.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(|cause| without_number(&cause.to_string())) {
        if line.is_empty() {
            line = cause;
        } else if !line.to_lowercase().contains(&cause.to_lowercase()) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// A file that the user named can't be written.
fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot write {}: {}: name another place", path.display(), reason(error))
}

/// Without "(os error 2)" and SQLite's "Error code 26: ", which say nothing to people.
fn without_number(text: &str) -> String {
    let text = match text.strip_prefix("Error code ").and_then(|rest| rest.split_once(": ")) {
        Some((_, words)) => words,
        None => text,
    };
    match text.split_once(" (os error ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest)),
        None => text.to_owned(),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The filter and a caret below what is wrong with it, on a terminal; the line before says it all.
fn point(error: &FilterError) {
    if io::stderr().is_terminal() {
        let [text, caret] = error.caret();
        let _ = writeln!(io::stderr(), "  {text}\n  {caret}");
    }
}

/// One line on standard error, whatever names and values it holds.
fn complain(message: impl std::fmt::Display) {
    let mut line = String::from("tattler: ");
    for char in without_number(&message.to_string()).chars() {
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
    fn a_cause_that_the_error_names_itself_is_not_said_twice() {
        let missing = || std::io::Error::from_raw_os_error(2);
        let twice = anyhow::Error::new(missing()).context("cannot read x: no such file or directory; check the name");
        assert_eq!(one_line(&twice), "cannot read x: no such file or directory; check the name");
        assert_eq!(
            without_number("cannot read x: gone (os error 2): check the name"),
            "cannot read x: gone: check the name"
        );
        let code =
            anyhow::anyhow!("Error code 26: file is not a database").context("x is damaged (file is not a database)");
        assert_eq!(one_line(&code), "x is damaged (file is not a database)");
        let once = anyhow::Error::new(missing()).context("cannot read x");
        assert_eq!(one_line(&once), "cannot read x: No such file or directory");
    }

    #[test]
    fn the_arguments_of_every_command_are_consistent() {
        // clap checks in debug builds only, and only the command that is called.
        help::command().debug_assert();
    }
}
