//! `accuracy`: prints the table of families and methods.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use accuracy::families::{self, Family};
use accuracy::observe::observe;
use accuracy::rows::{FigureRow, rows};
use accuracy::run::{self, Seeds};
use accuracy::summary::{Cell, OverallSummary};
use accuracy::table;
use anyhow::{Context, Result};
use clap::Parser;
use homes::{HomeSize, SimulatedHome};
use tattler_files::jsonl::to_json_line;

const METHODS: &str = "\
Methods: `ours` is the order of `tattler suspects`; `fisher` tests each remote by itself; `distinct-count` is the
method of 2015, the number of probed addresses that had contacted a remote.

Example: cargo xtask accuracy --family one --size 50 --seeds 5
Without --family and --size it measures all families at all sizes, which takes many minutes: --jobs helps.";

/// Measure on simulated homes how well harvesters are named
#[derive(Parser)]
#[command(name = "accuracy", bin_name = "cargo xtask accuracy", after_help = METHODS)]
struct Cli {
    /// Write all figures to this file, with limits
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only this family; may be repeated. --list shows the names
    #[arg(long, value_name = "NAME", value_parser = family)]
    family: Vec<Family>,
    /// Only this size, in addresses: 50, 300 or 1500; may be repeated
    #[arg(long, value_name = "N", value_parser = size)]
    size: Vec<HomeSize>,
    /// The number of simulated homes of each family and size; with 50 there are 450 clean homes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The seed of the first home; later homes have the following seeds
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_seed: u64,
    /// The number of threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Write the observations of one home, of the first family and size and of --first-seed, to this file as JSON
    /// Lines for `tattler analyze`, print the true harvesters, and exit
    #[arg(long, value_name = "FILE")]
    observations: Option<PathBuf>,
    /// List the families, and exit
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list {
        families::all().iter().for_each(|family| println!("{:<25}{}", family.name, family.about));
        return ExitCode::SUCCESS;
    }
    match measure(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> Result<()> {
    let families = if cli.family.is_empty() { families::all().to_vec() } else { cli.family.clone() };
    let sizes = if cli.size.is_empty() { HomeSize::ALL.to_vec() } else { cli.size.clone() };
    if let Some(path) = &cli.observations {
        return write_observations(&families[0], sizes[0], cli.first_seed, path);
    }
    let seeds = Seeds { first: cli.first_seed, count: cli.seeds, jobs: cli.jobs };
    let mut cells: Vec<Cell> = Vec::new();
    let mut all: Vec<FigureRow> = Vec::new();
    println!("{}\n{}", table::LEGEND, table::head());
    for family in families {
        for &size in &sizes {
            let name = format!("{} at {}", family.name, size.addresses());
            let scores = run::all(&family, size, seeds, &|done| progress(&name, done, seeds.count));
            progress("", 0, 0);
            let rows = rows(family.name, size.addresses(), &scores);
            println!("{}", table::part(&rows));
            all.extend(rows);
            cells.push(Cell { family, size, scores });
        }
    }
    let summary = OverallSummary::new(&cells);
    println!("\n{}", summary.lines.join("\n"));
    all.extend(summary.rows);
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn write_observations(family: &Family, size: HomeSize, seed: u64, path: &Path) -> Result<()> {
    let home = SimulatedHome::new(&(family.plan)(size), family.name, seed);
    let lines: Vec<String> = observe(&home).iter().filter_map(to_json_line).collect();
    fs::write(path, lines.join("\n") + "\n").with_context(|| format!("write {}", path.display()))?;
    for harvester in &home.truth.harvesters {
        let addresses: Vec<String> = harvester.addresses.iter().map(ToString::to_string).collect();
        let (leaked, visitors) = (harvester.leaked, harvester.visitors);
        println!("{leaked} of {visitors} visitors were probed because of {}", addresses.join(" "));
    }
    Ok(())
}

fn family(name: &str) -> Result<Family, String> {
    families::named(name).ok_or_else(|| format!("no family {name}; see --list"))
}

fn size(addresses: &str) -> Result<HomeSize, String> {
    let size = addresses.parse().ok().and_then(HomeSize::of);
    size.ok_or_else(|| format!("no size {addresses}: 50, 300 or 1500"))
}

/// Overwrites one line on a terminal; an empty `name` clears it.
fn progress(name: &str, done: u64, of: u64) {
    let mut err = stderr();
    if err.is_terminal() {
        let line = if name.is_empty() { String::new() } else { format!("{name}: {done} of {of}") };
        // Progress is not worth an error.
        _ = write!(err, "\r{line}\x1b[K");
        _ = err.flush();
    }
}
