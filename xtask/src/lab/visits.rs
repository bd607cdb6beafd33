//! The visits from the home: with each address that its host takes, a person visits the sites that
//! everybody visits, some that few do, and ask some time servers, at random times of its life.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{paths, process};

use super::home::HOST_INTERFACE;
use super::netns::{Inside, Namespace};
use super::random::Random;
use super::world::{Phase, World};
use super::{Actor, plan};

/// Chance that an address visits one of the rare sites; the harvesting one is as popular as others.
const RARE: f64 = 0.4;
/// Chance that an address asks two time servers rather than one.
const SECOND_SERVER: f64 = 0.9;
/// Chance that a query is repeated later: in 2016 that brought no second scan.
const REPEAT: f64 = 0.3;
/// An address is used for about as long as the host prefers it.
const LIFE: (f64, f64) = (0.2, 7.0);

const TIMEOUT: Duration = Duration::from_secs(5);

pub struct Host {
    number: usize,
    inside: Inside,
    dir: PathBuf,
    seen: BTreeSet<Ipv6Addr>,
    plans: Vec<Visit>,
}

struct Visit {
    at: Instant,
    local: Ipv6Addr,
    remote: Ipv6Addr,
    what: What,
    /// The third parties that the page at `remote` loads from.
    embedded: Vec<Ipv6Addr>,
}

#[derive(Clone, Copy)]
enum What {
    Web,
    Time,
}

impl Host {
    pub fn new(number: usize, namespace: &Namespace, dir: &Path) -> Self {
        Self { number, inside: namespace.inside(), dir: dir.to_owned(), seen: BTreeSet::new(), plans: Vec::new() }
    }

    fn live(&mut self, world: &World) -> Result<()> {
        let mut random = world.random(self.number as u64);
        loop {
            match world.phase() {
                Phase::Traffic => self.take_up(&mut random)?,
                Phase::LastVisits if self.plans.is_empty() => return Ok(()),
                Phase::LastVisits => (),
                Phase::Over => return Ok(()),
            }
            while let Some(visit) = self.next_due() {
                self.visit(&visit, world)?;
                for remote in std::iter::once(visit.remote).chain(visit.embedded) {
                    world.note_visit(visit.local, remote);
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Makes plans for addresses that are new.
    fn take_up(&mut self, random: &mut Random) -> Result<()> {
        for local in self.temporary_addresses()? {
            if self.seen.insert(local) {
                self.plan(local, random);
            }
        }
        Ok(())
    }

    /// Temporary addresses in use: neither on trial nor given up.
    fn temporary_addresses(&self) -> Result<Vec<Ipv6Addr>> {
        let mut ip = paths::command("ip")?;
        ip.args(["-n", self.inside.name(), "-6", "-j", "address", "show", "dev", HOST_INTERFACE]);
        let listing: Value = serde_json::from_slice(&process::output(&mut ip)?.stdout).context("read `ip -j`")?;
        let addresses = listing[0]["addr_info"].as_array().into_iter().flatten();
        let in_use = addresses.filter(|address| {
            let is = |flag: &str| address[flag] == true;
            is("temporary") && !is("tentative") && !is("deprecated")
        });
        Ok(in_use.filter_map(|address| address["local"].as_str()?.parse().ok()).collect())
    }

    fn plan(&mut self, local: Ipv6Addr, random: &mut Random) {
        let mut add = |remote, what, from: f64, to: f64, random: &mut Random| {
            let wait = random.between(from, to);
            let at = Instant::now() + Duration::from_secs_f64(wait);
            let embedded = match what {
                What::Web => embedded(remote, random),
                What::Time => Vec::new(),
            };
            self.plans.push(Visit { at, local, remote, what, embedded });
            wait
        };
        let (from, to) = LIFE;
        for site in plan::popular_sites() {
            add(site, What::Web, from, to, random);
        }
        for site in plan::rare_sites() {
            if random.chance(RARE) {
                add(site, What::Web, from, to, random);
            }
        }
        let servers = if random.chance(SECOND_SERVER) { 2 } else { 1 };
        for server in random.pick(&plan::pool(), servers) {
            let first = add(server, What::Time, from, to, random);
            if random.chance(REPEAT) {
                add(server, What::Time, first + 2.0, first + 5.0, random);
            }
        }
    }

    fn next_due(&mut self) -> Option<Visit> {
        let now = Instant::now();
        let at = self.plans.iter().position(|visit| visit.at <= now)?;
        Some(self.plans.swap_remove(at))
    }

    /// A visit that fails is no failure of the lab: an address may end before it is made.
    fn visit(&self, visit: &Visit, world: &World) -> Result<()> {
        let mut client = match visit.what {
            What::Web => self.curl(visit)?,
            What::Time => self.chronyd(visit)?,
        };
        process::run_bounded(&mut client, TIMEOUT, &|| world.is_over())?;
        Ok(())
    }

    /// The page and what it embeds, one right after the other.
    fn curl(&self, visit: &Visit) -> Result<Command> {
        let mut curl = self.inside.command("curl")?;
        curl.args(["--silent", "--max-time", "3", "--noproxy", "*", "--interface"]);
        curl.arg(visit.local.to_string());
        curl.args(std::iter::once(&visit.remote).chain(&visit.embedded).map(|remote| format!("http://[{remote}]/")));
        Ok(curl)
    }

    /// Asks for the time once and sets no clock.
    fn chronyd(&self, visit: &Visit) -> Result<Command> {
        let mut chronyd = self.inside.command("chronyd")?;
        let pid = self.dir.join(format!("client{}.pid", self.number));
        chronyd.args(["-Q", "-t", "3", "-u", "root"]);
        chronyd.arg(format!("server {} iburst maxsamples 1", visit.remote));
        chronyd.arg(format!("bindacqaddress {}", visit.local));
        chronyd.arg(format!("pidfile {}", pid.display()));
        chronyd.args(["cmdport 0", "bindcmdaddress /"]);
        Ok(chronyd)
    }
}

/// The third parties that a visit of `site` loads from: not those that are in the browser's cache.
fn embedded(site: Ipv6Addr, random: &mut Random) -> Vec<Ipv6Addr> {
    let parties = plan::third_parties().into_iter();
    let loaded = parties.filter(|party| party.sites.contains(&site) && random.chance(party.share));
    loaded.map(|party| party.address).collect()
}

impl Actor for Host {
    fn name(&self) -> String {
        format!("host {}", self.number + 1)
    }

    fn act(mut self, world: &World) -> Result<()> {
        let lived = self.live(world);
        world.visitor_left();
        lived
    }
}
