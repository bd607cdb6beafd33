//! Order and lags stay right when the wall clock is set, while the sensor runs and while it does not. libfaketime sets
//! the clock of the sensor alone. Runs as root.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tattler_core::time::Time;
use tempfile::TempDir;
use tests::programs::tool;
use tests::sensor::{Sensor, WAN0, command};
use tests::traffic::ping;
use tests::world::{HOST, POOL, SCANNER, SITE, STRANGER, World};
use tests::{eventually, within};

/// Tolerance for lags: the test reads its own clock when a ping has come back.
const EXACT: Duration = Duration::from_millis(250);
const YEAR: f64 = 365.0 * 86_400.0;

/// The library behind `faketime`.
fn library() -> PathBuf {
    // Panics with the way out if it is missing.
    drop(tool("faketime"));
    let places = ["/usr/lib/faketime", "/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime"];
    let found = places.iter().map(|place| Path::new(place).join("libfaketime.so.1")).find(|path| path.is_file());
    found.expect("no libfaketime beside faketime: run `cargo xtask setup`")
}

/// A wall clock that only the sensor sees.
struct Clock(PathBuf);

impl Clock {
    fn set(&self, offset: &str) {
        // By rename, so that the sensor never reads a part.
        let new = self.0.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    fn start<'n>(&self, world: &'n World, state: &Path) -> Sensor<'n> {
        let mut command = command(&world.router, state, &WAN0);
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", &self.0).env("FAKETIME_NO_CACHE", "1");
        // Boot time stays the kernel's.
        for name in ["FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC", "FAKETIME_DONT_RESET"] {
            command.env(name, "1");
        }
        Sensor::started(command, &world.router, state)
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn seconds(time: &Value) -> f64 {
    let time: Time = serde_json::from_value(time.clone()).unwrap_or_else(|error| panic!("{time}: {error}"));
    time.0 as f64 / 1e6
}

/// Seconds between the visit of SITE and the first probe of each source, by the story of SITE.
fn lags(sensor: &Sensor<'_>) -> Vec<(String, f64)> {
    let explained = sensor.explain(SITE);
    let mut lags = Vec::new();
    for visit in explained["visits"].as_array().unwrap() {
        for probe in visit["probes"].as_array().unwrap() {
            let lag = seconds(&probe["ts"]) - seconds(&visit["ts"]);
            lags.push((probe["source"].as_str().unwrap().to_owned(), lag));
        }
    }
    lags.sort_by(|a, b| a.1.total_cmp(&b.1));
    lags
}

/// What happened, by a clock that is never set.
struct Events {
    visit: Instant,
    /// Source, and how long after the visit.
    probes: Vec<(String, f64)>,
}

impl Events {
    fn probe(&mut self, world: &World, source: std::net::Ipv6Addr) {
        ping(&world.internet, source, HOST);
        self.probes.push((source.to_string(), self.visit.elapsed().as_secs_f64()));
    }

    /// Waits until the sensor shows the same lags, and the right time of the visit by a clock with this offset.
    #[track_caller]
    fn are_shown_by(&self, sensor: &Sensor<'_>, off: f64, when: &str) {
        let told = within(20, when, || {
            let told = lags(sensor);
            let right = told.len() == self.probes.len()
                && told.iter().zip(&self.probes).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < EXACT.as_secs_f64());
            let visit = seconds(sensor.explain(SITE)["visits"].as_array()?.first()?.get("ts")?);
            let expected = now() - self.visit.elapsed().as_secs_f64() + off;
            ((visit - expected).abs() < 1.0 && right).then_some(told)
        });
        println!("{when}: lags {told:?}, true {:?}", self.probes);
        // The store has the same probes, each once.
        let rows = |query| sensor.rows(&[query, "--since", "9000d"]);
        let contacts = rows("contacts");
        let visit = contacts.iter().find(|row| row["remote"] == SITE.to_string()).expect("the visit");
        let visit = seconds(visit.get("first").or(visit.get("ts")).expect("a time"));
        let probes = rows("probes").into_iter();
        let mut of_store: Vec<(String, f64)> =
            probes.map(|row| (row["source"].as_str().unwrap().to_owned(), seconds(&row["ts"]) - visit)).collect();
        of_store.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (a, b) in of_store.iter().zip(&told) {
            assert!(a.0 == b.0 && (a.1 - b.1).abs() < 0.001, "{when}: {of_store:?} {told:?}");
        }
        assert_eq!(of_store.len(), told.len(), "{when}");
    }
}

/// Waits for the log line about a step of this many seconds.
#[track_caller]
fn says(sensor: &Sensor<'_>, step: f64) {
    let is_of_step = |line: &str| {
        let (_, line) = line.split_once("the clock was set from ")?;
        let (times, rest) = line.split_once(": ")?;
        let (from, to) = times.split_once(" to ")?;
        let took = seconds(&to.into()) - seconds(&from.into());
        ((took - step).abs() < 1.0 && rest.ends_with(" observations of this boot redated")).then_some(())
    };
    eventually(&format!("{step} in {}", sensor.log()), || sensor.log().lines().find_map(is_of_step));
}

#[test]
fn order_and_lags_survive_a_clock_set_by_years_or_an_hour() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let clock = Clock(state.path().join("offset"));
    // A router without a battery starts six years in the past.
    clock.set("-6y");
    let sensor = clock.start(&world, state.path());
    let visit = Instant::now();
    ping(&world.host, HOST, SITE);
    let mut events = Events { visit, probes: Vec::new() };
    sensor.wait_for("contact", 1);
    sleep(Duration::from_secs(1));
    events.probe(&world, SCANNER);
    sensor.wait_for("probe", 1);
    events.are_shown_by(&sensor, -6.0 * YEAR, "six years ago");

    // The time service sets the clock.
    clock.set("+0");
    let set = Instant::now();
    eventually(&format!("the step: {}", sensor.log()), || (sensor.status()["clock_steps"] == 1).then_some(()));
    println!("noticed after {:?}", set.elapsed());
    events.probe(&world, STRANGER);
    sensor.wait_for("probe", 2);
    events.are_shown_by(&sensor, 0.0, "after the step forward");
    says(&sensor, 6.0 * YEAR);
    assert!(sensor.metrics().contains("\ntattler_clock_steps_total 1\n"));
    assert_eq!(sensor.status()["clock_doubted"], true, "retention waits");
    assert!((seconds(&sensor.status()["started"]) - now()).abs() < 60.0);

    // A step within ten seconds of another waits. The lags do not depend on it.
    clock.set("-1h");
    events.probe(&world, POOL);
    sensor.wait_for("probe", 3);
    within(15, "the second step", || (sensor.status()["clock_steps"] == 2).then_some(()));
    says(&sensor, -3_600.0);
    events.are_shown_by(&sensor, -3_600.0, "after the step back");
    let before = sensor.suspects();
    sensor.stop();

    // Set while no sensor runs, in the same boot.
    clock.set("+2d");
    let sensor = clock.start(&world, state.path());
    says(&sensor, 2.0 * 86_400.0 + 3_600.0);
    events.are_shown_by(&sensor, 2.0 * 86_400.0, "after the restart");
    let after = sensor.suspects();
    assert_eq!(before["candidates"], after["candidates"], "a restart changes nothing");
    sensor.stop();
}
