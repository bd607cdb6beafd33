//! The command line. Each command has a file of its own, except for the commands that list rows. The type of a
//! command's arguments is always called `Arguments`: clap's derive does not show this name, and the module names the
//! command.
//!
//! Results go to standard output. Errors go to standard error, one line for each problem, with advice. Exit
//! status: 0 success, 1 failure, 2 wrong usage.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{FromArgMatches, Parser, Subcommand};
use tattler_core::filter::FilterError;
use tattler_core::time::Time;
use tattler_core::when;
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
    // clap would stop at the first of `--version` and `--verbose`.
    if version::is_asked_for() {
        return if print(version::verbose()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
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
        // The reader of the output closed the output, which is normal.
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

/// The output format of a result.
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

impl Format {
    /// Prints an answer. Each format except JSON has a function of its own.
    fn print<T: serde::Serialize>(
        self,
        answer: &T,
        table: impl Fn(&T) -> String,
        csv: impl Fn(&T, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Format::Json => print(serde_json::to_string(answer)? + "\n"),
            Format::Csv => csv(answer, &mut io::stdout().lock()),
            Format::Table => print(table(answer)),
        }
    }
}

/// Writes a result to standard output.
fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref())?;
    out.flush()
}

const USAGE: u8 = 2;

/// Reads a whole number.
fn whole<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number".to_owned())
}

/// Arguments that are well formed but contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Refuses a window whose end is before its beginning.
fn in_order(since: Option<Time>, until: Option<Time>) -> Result<(), Usage> {
    when::in_order(since, until).map_err(Usage)
}

/// Prints help or version if requested; prints any other error as one line.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed output is normal.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => complain("no command given: see `tattler --help`"),
        _ => {
            // The first paragraph names the error; hints and usage follow.
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

/// An error and its causes in one line. Leaves out a cause if the error's message contains the cause.
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

/// The error for a file that can't be written.
fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot write {}: {}: name another place", path.display(), reason(error))
}

/// Removes "(os error 2)" and SQLite's "Error code 26: ".
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

/// Shows the filter, with a caret below the position of the error. Only on a terminal.
fn point(error: &FilterError) {
    if io::stderr().is_terminal() {
        let [text, caret] = error.caret();
        let _ = writeln!(io::stderr(), "  {text}\n  {caret}");
    }
}

/// Writes one line to standard error; control characters in names and values are escaped.
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
    // If standard error is closed, the message has no other destination.
    let _ = io::stderr().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_the_message_contains_is_not_repeated() {
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
    fn clap_accepts_the_arguments_of_every_command() {
        // Without this call, clap checks only the command that runs, and only in debug builds.
        help::command().debug_assert();
    }
}
