//! A content network that measures paths: it sends echo requests with ascending hop limits to visitors of its sites. In
//! 2016 such requests looked like scans.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{process, signals};

use super::harvester::logged_visitors;
use super::internet::{self, Internet};
use super::netns::Inside;
use super::world::{Phase, World};
use super::{Actor, plan};

/// Hop limits of the echo requests. At the home's router, each hop limit is lower by one. The router itself answers the
/// first request.
const HOPS: std::ops::RangeInclusive<usize> = 2..=7;
/// Time between two reads of the visitor log.
const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);

pub struct Prober {
    inside: Inside,
    log: PathBuf,
}

impl Prober {
    pub fn new(internet: &Internet, dir: &Path) -> Self {
        Self { inside: internet.part("probers").inside(), log: internet::access_log(dir, "sites") }
    }

    /// Sends an echo request for each hop limit. Each request goes to the next address of `targets`.
    fn measure(&self, source: Ipv6Addr, targets: &[Ipv6Addr], world: &World) -> Result<()> {
        for (hop_limit, target) in HOPS.zip(targets.iter().cycle()) {
            let mut ping = self.inside.command("ping")?;
            ping.args(["-6", "-n", "-c", "1", "-W", "1", "-t", &hop_limit.to_string()]);
            ping.args(["-I", &source.to_string(), &target.to_string()]);
            process::run_bounded(&mut ping, TIMEOUT, || world.is_over())?;
        }
        world.note_paths(targets.len());
        Ok(())
    }
}

impl Actor for Prober {
    fn name(&self) -> String {
        "path prober".to_owned()
    }

    /// Two places measure all hops to one visitor. The third place measures each hop to a different visitor.
    fn act(self, world: &World) -> Result<()> {
        let is_over = || world.phase() > Phase::Traffic;
        let [first, second, spread] = plan::path_probers();
        let mut known = BTreeSet::new();
        let mut waiting = VecDeque::new();
        let mut others = Vec::new();
        while signals::sleep_until(Instant::now() + PAUSE, &is_over) {
            waiting.extend(logged_visitors(&self.log)?.into_iter().filter(|&visitor| known.insert(visitor)));
            // The three places need one visitor each.
            if waiting.len() >= 3 {
                let mut three = waiting.drain(..3);
                for (source, target) in [first, second].into_iter().zip(&mut three) {
                    self.measure(source, &[target], world)?;
                }
                others.extend(three);
            }
            if others.len() == HOPS.count() {
                self.measure(spread, &others, world)?;
                others.clear();
            }
        }
        Ok(())
    }
}
