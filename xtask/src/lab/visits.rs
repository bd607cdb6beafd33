//! The visits from the home. From each of its addresses, a host visits all popular sites and some rare sites, and asks
//! some time servers, at random times while it uses the address.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg32;
use serde_json::Value;

use crate::{paths, process};

use super::home::HOST_INTERFACE;
use super::netns::{Inside, Namespace};
use super::world::{Phase, World};
use super::{Actor, plan};

/// Chance that an address visits a rare site. The harvesting site has the same chance as the other rare sites.
const RARE: f64 = 0.4;
/// Chance that an address asks two time servers instead of one.
const SECOND_SERVER: f64 = 0.9;
/// Chance that a query is repeated later. In 2016 a repeated query caused no second scan.
const REPEAT: f64 = 0.3;
/// Seconds in which a host uses an address: about as long as the host prefers the address.
const LIFE: Range<f64> = 0.2..7.0;

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
    /// The third parties from which the page at `remote` loads content.
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
                Phase::Traffic => {
                    for local in self.temporary_addresses()? {
                        if self.seen.insert(local) {
                            self.plan(local, &mut random);
                        }
                    }
                }
                Phase::LastVisits if !self.plans.is_empty() => (),
                Phase::LastVisits | Phase::Over => return Ok(()),
            }
            while let Some(at) = self.plans.iter().position(|visit| visit.at <= Instant::now()) {
                let visit = self.plans.swap_remove(at);
                self.visit(&visit, world)?;
                for remote in std::iter::once(visit.remote).chain(visit.embedded) {
                    world.note_visit(visit.local, remote);
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// The temporary addresses in use: neither tentative nor deprecated.
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

    fn plan(&mut self, local: Ipv6Addr, random: &mut Pcg32) {
        let mut add = |remote, what, life: Range<f64>, random: &mut Pcg32| {
            let wait = random.random_range(life);
            let at = Instant::now() + Duration::from_secs_f64(wait);
            let embedded = match what {
                What::Web => embedded(remote, random),
                What::Time => Vec::new(),
            };
            self.plans.push(Visit { at, local, remote, what, embedded });
            wait
        };
        for site in plan::popular_sites() {
            add(site, What::Web, LIFE, random);
        }
        for site in plan::rare_sites() {
            if random.random_bool(RARE) {
                add(site, What::Web, LIFE, random);
            }
        }
        let servers = if random.random_bool(SECOND_SERVER) { 2 } else { 1 };
        for server in plan::pool().sample(random, servers) {
            let first = add(*server, What::Time, LIFE, random);
            if random.random_bool(REPEAT) {
                add(*server, What::Time, first + 2.0..first + 5.0, random);
            }
        }
    }

    /// Makes a visit. The visit may fail: the address may expire before it.
    fn visit(&self, visit: &Visit, world: &World) -> Result<()> {
        let mut client = match visit.what {
            What::Web => self.curl(visit)?,
            What::Time => self.chronyd(visit)?,
        };
        process::run_bounded(&mut client, TIMEOUT, || world.is_over())?;
        Ok(())
    }

    /// Loads the page and its third-party content, one request right after the other.
    fn curl(&self, visit: &Visit) -> Result<Command> {
        let mut curl = self.inside.command("curl")?;
        curl.args(["--silent", "--max-time", "3", "--noproxy", "*", "--interface"]);
        curl.arg(visit.local.to_string());
        curl.args(std::iter::once(&visit.remote).chain(&visit.embedded).map(|remote| format!("http://[{remote}]/")));
        Ok(curl)
    }

    /// Asks for the time once, and sets no clock.
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

/// The third parties from which a visit of `site` loads content, except those in the browser's cache.
fn embedded(site: Ipv6Addr, random: &mut Pcg32) -> Vec<Ipv6Addr> {
    let parties = plan::third_parties().into_iter();
    let loaded = parties.filter(|party| party.sites.contains(&site) && random.random_bool(party.share));
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
