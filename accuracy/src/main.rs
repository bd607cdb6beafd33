//! `accuracy`: the table of families and methods.

use std::time::Instant;

use accuracy::measure::{Judged, average_precision, judge};
use accuracy::methods::{Counts, ledger, ours};
use accuracy::network::Network;
use accuracy::network::size::Size;
use anyhow::{Result, bail};
use clap::Parser;

/// Measure on simulated homes how well those who leak are named
#[derive(Parser)]
struct Cli {
    /// Families, by name; all if left out
    #[arg(long)]
    family: Vec<String>,
    /// Sizes in addresses: 50, 300, 1500; all if left out
    #[arg(long)]
    size: Vec<usize>,
    /// Networks of each family and size
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    println!(
        "{:<24} {:>5} {:<14} {:>6} {:>6} {:>6} {:>7} {:>8}",
        "family", "size", "method", "AP", "named", "wrong", "strong", "ms/run"
    );
    for family in accuracy::families::all() {
        if !cli.family.is_empty() && !cli.family.iter().any(|name| name == family.name) {
            continue;
        }
        for size in Size::ALL.into_iter().filter(|s| cli.size.is_empty() || cli.size.contains(&s.addresses())) {
            let mut sums = [(0.0, 0usize, 0usize, 0usize, 0usize, 0.0); 3];
            let (mut leaked, mut probed, mut contacts, mut generation) = (0, 0, 0, 0.0);
            for seed in cli.first_seed..cli.first_seed + cli.seeds {
                let start = Instant::now();
                let network = Network::new(&(family.plan)(size), family.name, seed)?;
                generation += start.elapsed().as_secs_f64();
                let wanted = network.truth.identifiable();
                leaked += network.truth.harvesters.iter().map(|h| h.leaked).sum::<usize>();
                contacts += network.observations.len();
                let counts = Counts::new(&network.observations);
                probed += counts.probed();
                for (method, sum) in sums.iter_mut().enumerate() {
                    let start = Instant::now();
                    let entries = match method {
                        0 => ours(&ledger(&network.observations)),
                        1 => counts.fisher(),
                        _ => counts.distinct_count(),
                    };
                    sum.5 += start.elapsed().as_secs_f64();
                    let judged = judge(&entries, &network.truth);
                    if let Some(precision) = average_precision(&entries, &judged, &wanted) {
                        sum.0 += precision;
                        sum.1 += 1;
                    }
                    for (entry, judged) in entries.iter().zip(&judged).filter(|(entry, _)| entry.named) {
                        sum.2 += 1;
                        sum.3 += usize::from(*judged == Judged::Wrong);
                        sum.4 += usize::from(entry.strong && *judged == Judged::Wrong);
                    }
                }
            }
            let n = cli.seeds as f64;
            for (method, sum) in ["ours", "fisher", "distinct-count"].iter().zip(sums) {
                let precision = if sum.1 > 0 { format!("{:.3}", sum.0 / sum.1 as f64) } else { "-".to_owned() };
                println!(
                    "{:<24} {:>5} {method:<14} {precision:>6} {:>6} {:>6} {:>7} {:>8.1}",
                    family.name,
                    size.addresses(),
                    sum.2,
                    sum.3,
                    sum.4,
                    1e3 * sum.5 / n
                );
            }
            println!(
                "    {:.1} leaks, {:.1} probed, {:.0} observations a run, made in {:.1} ms",
                leaked as f64 / n,
                probed as f64 / n,
                contacts as f64 / n,
                1e3 * generation / n
            );
        }
    }
    if let Some(name) = cli.family.iter().find(|name| accuracy::families::named(name).is_none()) {
        bail!("no family {name}");
    }
    Ok(())
}
