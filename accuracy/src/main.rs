//! `accuracy`: the table of families and methods.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

use accuracy::families::{self, Family};
use accuracy::network::size::Size;
use accuracy::rows::{Row, rows};
use accuracy::run::{self, Seeds};
use accuracy::summary::{Cell, Summary};
use accuracy::table;
use anyhow::{Context, Result, bail};
use clap::Parser;

/// Measure on simulated homes how well those who leak are named
#[derive(Parser)]
#[command(name = "accuracy")]
struct Cli {
    /// Write all figures to this file, with limits
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only this family; may be repeated. `--list` shows their names
    #[arg(long, value_name = "NAME")]
    family: Vec<String>,
    /// Only this size, in addresses: 50, 300 or 1500; may be repeated
    #[arg(long, value_name = "N")]
    size: Vec<usize>,
    /// Networks of each family and size
    #[arg(long, value_name = "N", default_value_t = 20)]
    seeds: u64,
    /// The first of them; another one gives other networks
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_seed: u64,
    /// Networks that are worked on at the same time
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// List the families and end
    #[arg(long)]
    list: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.list {
        families::all().iter().for_each(|family| println!("{:<25}{}", family.name, family.about));
        return Ok(());
    }
    let (families, sizes) = (chosen(&cli.family)?, sizes(&cli.size)?);
    let seeds = Seeds { first: cli.first_seed, count: cli.seeds, jobs: cli.jobs };
    let mut cells: Vec<Cell> = Vec::new();
    let mut all: Vec<Row> = Vec::new();
    println!("{}\n{}", table::LEGEND, table::head());
    for family in families {
        for &size in &sizes {
            let name = format!("{} at {}", family.name, size.addresses());
            let scores = run::all(&family, size, seeds, &|done| progress(&name, done, seeds.count))?;
            progress("", 0, 0);
            let rows = rows(family.name, size.addresses(), &scores);
            println!("{}", table::part(&rows));
            all.extend(rows);
            cells.push(Cell { family, size, scores });
        }
    }
    let summary = Summary::new(&cells);
    println!("\n{}", summary.lines.join("\n"));
    all.extend(summary.rows);
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Family>> {
    if names.is_empty() {
        return Ok(families::all());
    }
    names.iter().map(|name| families::named(name).with_context(|| format!("no family {name}; see --list"))).collect()
}

fn sizes(addresses: &[usize]) -> Result<Vec<Size>> {
    if addresses.is_empty() {
        return Ok(Size::ALL.to_vec());
    }
    let size = |&n: &usize| match Size::of(n) {
        Some(size) => Ok(size),
        None => bail!("no size {n}: 50, 300 or 1500"),
    };
    addresses.iter().map(size).collect()
}

/// On a terminal, one line that is overwritten; `name` empty: it is cleared.
fn progress(name: &str, done: u64, of: u64) {
    let mut err = stderr();
    if err.is_terminal() {
        let line = if name.is_empty() { String::new() } else { format!("{name}: {done} of {of}") };
        // A line of progress that can't be written is not worth an end.
        _ = write!(err, "\r{line}\x1b[K");
        _ = err.flush();
    }
}
