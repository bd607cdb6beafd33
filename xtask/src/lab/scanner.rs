//! Probers: scanners and sweepers. Scanners get targets from harvesters, or choose targets at random from the addresses
//! in use. Sweepers get no targets. Probers use the tools of real scanners, and send a few packets at a time.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::{process, signals};

use super::internet::{INTERFACE, Internet};
use super::netns::Inside;
use super::world::{Phase, World};
use super::{Actor, plan};

const TIMEOUT: Duration = Duration::from_secs(8);

/// A scanner. It has two addresses, and probes single targets.
pub struct Scanner {
    inside: Inside,
    sources: [Ipv6Addr; 2],
    /// Tool that sends the echo requests.
    echo: &'static str,
    /// Scan type of nmap, and the ports to scan.
    ports: [&'static str; 2],
}

/// The scanners of a lab without harvesters.
pub fn at_random(internet: &Internet) -> [AtRandom; 2] {
    [AtRandom(Scanner::of_server(internet)), AtRandom(Scanner::of_site(internet))]
}

/// A scanner that chooses its targets at random from the addresses in use, and probes each target once. No remote
/// leaked these addresses.
pub struct AtRandom(Scanner);

/// Seconds between two probes. The number of probes is then about the same as that of a harvester's scanner.
const AT_RANDOM: Range<f64> = 1.0..6.0;

impl Actor for AtRandom {
    fn name(&self) -> String {
        format!("scanner {}", self.0.sources[0])
    }

    fn act(self, world: &World) -> Result<()> {
        let mut random = world.random(u64::from(self.0.sources[0].segments()[1]));
        let is_over = || world.phase() > Phase::Traffic;
        let mut probed = BTreeSet::new();
        loop {
            let wait = Duration::from_secs_f64(random.random_range(AT_RANDOM));
            if !signals::sleep_until(Instant::now() + wait, &is_over) {
                return Ok(());
            }
            let mut visitors = world.visitors();
            visitors.retain(|visitor| !probed.contains(visitor));
            if let Some(&target) = visitors.choose(&mut random) {
                probed.insert(target);
                self.0.probe(target, world)?;
                world.note_probe(self.0.sources[0], target);
            }
        }
    }
}

impl Scanner {
    /// The scanner that gets targets from the time server.
    pub fn of_server(internet: &Internet) -> Self {
        let (inside, sources) = (internet.part("scanner1").inside(), plan::server_scanner());
        Self { inside, sources, echo: "ping", ports: ["-sS", "-p22,80,443,8080"] }
    }

    /// The scanner that gets targets from the site.
    pub fn of_site(internet: &Internet) -> Self {
        let (inside, sources) = (internet.part("scanner2").inside(), plan::site_scanner());
        Self { inside, sources, echo: "atk6-thcping6", ports: ["-sSU", "-pT:23,3389,U:161"] }
    }

    /// Sends one echo request from the first source, and probes a few ports from the second source. Needs no answer.
    pub fn probe(&self, target: Ipv6Addr, world: &World) -> Result<()> {
        let [source, other] = self.sources.map(|source| source.to_string());
        let mut echo = self.inside.command(self.echo)?;
        match self.echo {
            "ping" => echo.args(["-6", "-n", "-c", "1", "-W", "1", "-I"]),
            _ => echo.arg(INTERFACE),
        };
        echo.args([source, target.to_string()]);
        for mut tool in [echo, nmap(&self.inside, &other, &self.ports, target)?] {
            process::run_bounded(&mut tool, TIMEOUT, || world.is_over())?;
        }
        Ok(())
    }
}

fn nmap(inside: &Inside, source: &str, what: &[&str], target: impl ToString) -> Result<Command> {
    let mut nmap = inside.command("nmap")?;
    nmap.args(["-6", "-n", "-Pn", "--max-retries", "1", "--host-timeout", "4s"]);
    nmap.args(["-e", INTERFACE, "-S", source]).args(what).arg(target.to_string());
    Ok(nmap)
}

/// A prober of guessable addresses. It sends a sweep from time to time.
pub struct Sweeper {
    number: usize,
    inside: Inside,
    source: Ipv6Addr,
}

/// Time between two sweeps, and between the start and the first sweep.
const PAUSE: Duration = Duration::from_secs(15);

pub fn sweepers(internet: &Internet) -> Vec<Sweeper> {
    let inside = internet.part("sweepers").inside();
    let sweeper = |(number, source)| Sweeper { number, inside: inside.clone(), source };
    plan::sweepers().into_iter().enumerate().map(sweeper).collect()
}

impl Sweeper {
    /// Sends echo requests to the low addresses of the network, or probes one port of the low addresses in neighbouring
    /// networks.
    fn sweep(&self, round: u16) -> Result<Command> {
        let network = plan::LAN.trim_end_matches("::/64");
        if self.number == 0 {
            let mut scan6 = self.inside.command("scan6")?;
            scan6.args(["-i", INTERFACE, "-s", &self.source.to_string(), "-p", "echo", "-r", "50pps"]);
            scan6.args(["-d", &format!("{network}::1-40")]);
            Ok(scan6)
        } else {
            let neighbour = network.trim_end_matches('1');
            let range = format!("{neighbour}{:x}::/124", 1 + round % 4);
            nmap(&self.inside, &self.source.to_string(), &["-sS", "-p22"], range)
        }
    }
}

impl Actor for Sweeper {
    fn name(&self) -> String {
        format!("sweeper {}", self.source)
    }

    fn act(self, world: &World) -> Result<()> {
        let is_over = || world.phase() > Phase::Traffic;
        for round in 0.. {
            // The two sweepers take turns.
            let wait = if round == 0 { PAUSE / 3 * (1 + self.number as u32) } else { PAUSE };
            if !signals::sleep_until(Instant::now() + wait, &is_over) {
                break;
            }
            process::run_bounded(&mut self.sweep(round)?, TIMEOUT, is_over)?;
        }
        Ok(())
    }
}
