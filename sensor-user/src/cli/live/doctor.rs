//! `tattler doctor`: finds reasons why the sensor does not see all packets, and prints advice.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use tattler_core::words::plural;

use super::Plain;
use crate::cli::{complain, print};
use crate::config;
use crate::doctor::{self, Check, Level};

/// Check kernel, drivers, offloads, IPv6, permissions, clock and disk, with advice.
///
/// Changes nothing, attaches nothing and sends nothing off this machine.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler doctor --interface wan0")]
pub(in crate::cli) struct Arguments {
    /// The uplink to check; may be given again [default: as `tattler run`]
    #[arg(long, value_name = "IF")]
    interface: Vec<String>,
    /// The configuration [default: /etc/tattler/tattler.toml, if it exists]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// A table for people, JSON for programs.
    #[arg(long, value_enum, default_value_t)]
    format: Plain,
}

#[derive(Serialize)]
struct Examined<'a> {
    schema: &'static str,
    checks: &'a [Check],
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut config = match config::load(arguments.config.as_deref()) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            problems.0.iter().for_each(complain);
            return Ok(ExitCode::FAILURE);
        }
    };
    if !arguments.interface.is_empty() {
        config.sensor.interfaces = arguments.interface;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = runtime.block_on(doctor::examine(&config));
    let text = match arguments.format {
        Plain::Json => serde_json::to_string(&Examined { schema: "tattler.doctor/1", checks: &checks })? + "\n",
        Plain::Table => table(&checks),
    };
    print(text)?;
    let sick = checks.iter().any(|check| check.level == Level::Problem);
    Ok(if sick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A table with a line for each check, and the advice below the line.
fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { name, level, found, advice } in checks {
        let _ = writeln!(text, "{:<8} {name:<11}  {found}", level.as_str());
        if let Some(advice) = advice {
            let _ = writeln!(text, "{:<20}  -> {advice}", "");
        }
    }
    let count = |level| checks.iter().filter(|check| check.level == level).count() as u64;
    let (problems, notes) = (count(Level::Problem), count(Level::Note));
    let _ = writeln!(text, "{}, {}", plural(problems, "problem", "problems"), plural(notes, "note", "notes"));
    text
}
