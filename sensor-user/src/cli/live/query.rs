//! Arguments common to all queries: the sensor or the directory, the window, and the output format.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tattler_core::time::Time;

use super::progress::QueryProgress;
use crate::cli::{Format, arguments, complain, in_order};
use crate::config::{self, Config};
use crate::contract::Request;
use crate::query::from_store;
use crate::socket;

/// The place to ask, the window, and the output format.
#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Arguments {
    /// The running sensor's socket.
    #[arg(long, value_name = "PATH", default_value_os_t = crate::config::default_sensor().socket)]
    socket: PathBuf,
    /// Read a state directory instead of asking a sensor; run the command as the directory's owner or as root.
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    pub(super) state: Option<PathBuf>,
    /// The configuration with the names for --state [default: /etc/tattler/tattler.toml, if it exists]
    #[arg(long, value_name = "PATH", requires = "state")]
    config: Option<PathBuf>,
    /// Ignore earlier rows: RFC 3339, a date in UTC, or a span before now such as 2h or 3d.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    pub(super) since: Option<Time>,
    /// Ignore later rows.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    pub(super) until: Option<Time>,
    /// A table for people, JSON for programs, CSV for spreadsheets.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Functions that write an answer in each format except JSON. The JSON answer is printed unchanged.
pub(super) struct Printer<T: 'static> {
    pub(super) table: fn(&T) -> String,
    pub(super) csv: fn(&T, &mut dyn Write) -> io::Result<()>,
    /// Notes for which the other formats have no place, one line each.
    pub(super) notes: fn(&T) -> Vec<String>,
}

impl Arguments {
    /// Sends the request and prints the answer.
    pub(super) fn ask<T: DeserializeOwned + Serialize>(
        &self,
        request: &Request,
        print: &Printer<T>,
    ) -> Result<ExitCode> {
        in_order(self.since, self.until)?;
        let rows = Arc::new(AtomicU64::new(0));
        let answer = match &self.state {
            Some(dir) => {
                let config = configured(self.config.as_deref())?;
                let _progress = QueryProgress::start(format!("reading {}", dir.display()), rows.clone());
                from_store::ask(dir, request, &config, arguments::now(), &rows)?
            }
            None => {
                let _progress = QueryProgress::start("waiting for the sensor".to_owned(), rows);
                socket::ask(&self.socket, request)?
            }
        };
        let answer: T = serde_json::from_value(answer).with_context(|| {
            format!("cannot read the answer of the sensor at {}; is it of this version?", self.socket.display())
        })?;
        self.format.print(&answer, print.table, print.csv)?;
        if !matches!(self.format, Format::Json) {
            (print.notes)(&answer).iter().for_each(complain);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The configuration, for its names. A fault of the default file is only a warning.
pub(super) fn configured(named: Option<&Path>) -> Result<Config, config::Problems> {
    match config::load(named) {
        Ok(loaded) => Ok(loaded.config),
        Err(problems) if named.is_some() => Err(problems),
        Err(problems) => {
            complain(format_args!("names are not shown, the configuration has a problem: {problems}"));
            Ok(Config::default())
        }
    }
}

/// The terminal's width, if standard output is one.
pub(super) fn width() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}
