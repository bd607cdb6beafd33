//! The lab: network namespaces that simulate a home and an internet, and replay the events of January 2016.
//!
//! The home's hosts form temporary addresses with a real radvd, and visit sites and time servers. One time server and
//! one site leak their visitors: seconds later a scanner at another address probes the visitor. The sensor watches the
//! uplink of the home's router and does not know which servers leak. In the clean lab no server leaks, and scanners
//! probe randomly chosen addresses.
//!
//! Read [`plan`] (addresses) first, then [`netns`], [`home`] and [`internet`] (namespaces and servers), [`visits`],
//! [`harvester`], [`scanner`] and [`path`] (actors), [`sensor`] and [`view`] (results). The lab changes nothing outside
//! its own namespaces, and removes these namespaces however it ends.

mod harvester;
mod home;
mod internet;
mod leftovers;
mod netns;
mod path;
mod plan;
mod scanner;
mod sensor;
mod view;
mod visits;
mod world;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use tempfile::TempDir;

use crate::signals;
use home::Home;
use internet::Internet;
use sensor::Sensor;
use world::{Phase, World};

/// The options of a replay.
#[derive(Args)]
pub struct Replay {
    /// Replay once, print the report as JSON, clean up
    #[arg(long, requires = "lab")]
    once: bool,
    /// No leaks in the lab: traffic, sweepers and scanners that hit addresses at random
    #[arg(long, requires = "lab")]
    clean: bool,
    /// Choose the lab's visits by this number [default: from the clock]
    #[arg(long, requires = "lab")]
    seed: Option<u64>,
    /// With --once: write the sensor's metrics here at the end of the replay
    #[arg(long, value_name = "FILE", requires = "once")]
    metrics: Option<PathBuf>,
}

/// Duration of the traffic with `--once`. Each of the five hosts takes a new address every seven seconds. Some sixty
/// addresses are enough to distinguish harvesters from bystanders. Forty addresses, in a minute, were enough in only
/// nine of eleven runs: most visitors of the harvesting site also contact third parties.
const TRAFFIC: Duration = Duration::from_secs(90);

/// Time limit for the last visits to be logged and probed. If it passes, the lab is stuck.
const WIND_DOWN: Duration = Duration::from_secs(40);

pub fn run(replay: &Replay, tattler: &Path) -> Result<()> {
    leftovers::clean();
    let mut lab = Lab::start(replay, tattler)?;
    if replay.once { lab.replay_once(replay) } else { lab.show_until_stopped() }
}

/// All parts of a lab. They are removed in this order.
struct Lab {
    actors: Actors,
    sensor: Sensor,
    internet: Internet,
    home: Home,
    _dir: TempDir,
}

impl Lab {
    fn start(replay: &Replay, tattler: &Path) -> Result<Self> {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let seed = replay.seed.unwrap_or_else(clock);
        eprintln!("lab: seed {seed} (repeat these choices with --seed {seed})");
        let dir =
            tempfile::Builder::new().prefix(&leftovers::prefix()).tempdir().context("make the lab's directory")?;
        let leaky = if replay.clean { &[][..] } else { &plan::harvesters()[..] };
        let world = World::new(seed, leaky);
        let internet = Internet::start(dir.path())?;
        let home = Home::start(dir.path(), &internet.core)?;
        // The sensor starts first, so that it sees every address from the first packet on.
        let sensor = Sensor::start(tattler, &home.router, dir.path(), replay.once)?;
        let mut actors = Actors { world, threads: Vec::new() };
        for (number, host) in home.hosts.iter().enumerate() {
            actors.add(visits::Host::new(number, host, dir.path()));
        }
        if replay.clean {
            scanner::at_random(&internet).into_iter().for_each(|scanner| actors.add(scanner));
        } else {
            actors.add(harvester::time_server(&internet, dir.path()));
            actors.add(harvester::web_site(&internet, dir.path()));
        }
        actors.add(path::Prober::new(&internet, dir.path()));
        scanner::sweepers(&internet).into_iter().for_each(|sweeper| actors.add(sweeper));
        Ok(Self { actors, sensor, internet, home, _dir: dir })
    }

    /// The replay of `--once`: traffic, the last visits, then the report on standard output.
    fn replay_once(&mut self, replay: &Replay) -> Result<()> {
        eprintln!("lab: {} s of traffic", TRAFFIC.as_secs());
        self.watch(Instant::now() + TRAFFIC)?;
        eprintln!("lab: hosts take no more addresses; waiting for the last probes");
        self.wind_down()?;
        // Wait for one more tick of the sensor, so that it processes the last packets.
        self.watch(Instant::now() + Duration::from_secs(1))?;
        eprintln!("lab: {}", self.actors.world.summary());
        if let Some(path) = &replay.metrics {
            self.sensor.save_metrics(path)?;
        }
        let report = self.sensor.report()?;
        println!("{}", view::with_truth(report, &self.actors.world)?);
        self.sensor.stop()
    }

    /// Shows the suspects every few seconds until a signal comes.
    fn show_until_stopped(&mut self) -> Result<()> {
        let started = Instant::now();
        let further = view::further(&self.sensor, &self.home.router, &self.actors.world);
        while !signals::stopped() {
            let table = self.sensor.suspects_table()?;
            view::show(&table, started.elapsed(), &self.actors.world, &further)?;
            self.watch_or_signal(Instant::now() + view::INTERVAL)?;
        }
        eprintln!("lab: cleaning up");
        self.actors.stop();
        self.sensor.stop()
    }

    /// Ends the hosts first, after their last visits, and then the harvesters and scanners.
    fn wind_down(&mut self) -> Result<()> {
        let deadline = Instant::now() + WIND_DOWN;
        self.actors.world.enter(Phase::LastVisits);
        while !self.actors.threads.is_empty() {
            if Instant::now() > deadline {
                bail!("the lab's traffic did not end within {} s", WIND_DOWN.as_secs());
            }
            self.watch(Instant::now() + Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn watch(&mut self, until: Instant) -> Result<()> {
        self.watch_or_signal(until)?;
        if signals::stopped() {
            bail!("interrupted: the lab was cleaned up, and there is no report");
        }
        Ok(())
    }

    /// Waits, and checks that all parts of the lab still run.
    fn watch_or_signal(&mut self, until: Instant) -> Result<()> {
        loop {
            self.sensor.check()?;
            self.internet.check()?;
            self.home.check()?;
            self.actors.check()?;
            let step = until.min(Instant::now() + Duration::from_millis(200));
            if !signals::sleep_until(step, &signals::stopped) || Instant::now() >= until {
                return Ok(());
            }
        }
    }
}

/// An actor of the lab. Each actor has its own thread.
trait Actor: Send + 'static {
    /// Name of the actor, for messages and for its thread.
    fn name(&self) -> String;
    /// Runs the actor until the world's phase or a signal ends it.
    fn act(self, world: &World) -> Result<()>;
}

/// The threads of the actors. Dropping this ends the threads and waits for them.
struct Actors {
    world: World,
    threads: Vec<(String, JoinHandle<Result<()>>)>,
}

impl Actors {
    fn add(&mut self, actor: impl Actor) {
        let world = self.world.clone();
        let name = actor.name();
        let thread = std::thread::spawn(move || actor.act(&world));
        self.threads.push((name, thread));
    }

    /// Removes the actors that have ended. Fails if an actor failed.
    fn check(&mut self) -> Result<()> {
        while let Some(at) = self.threads.iter().position(|(_, thread)| thread.is_finished()) {
            let (name, thread) = self.threads.swap_remove(at);
            thread.join().unwrap_or_else(|_| Err(anyhow!("panicked"))).with_context(|| format!("lab: {name}"))?;
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.world.enter(Phase::Over);
        for (_, thread) in self.threads.drain(..) {
            // The lab has ended, so a failure does not matter.
            let _ = thread.join();
        }
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        self.stop();
    }
}
