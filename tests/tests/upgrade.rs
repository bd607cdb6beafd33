//! Upgrades with `run --keep`, as a package does them: stop the old version and start the new one, under traffic. The
//! other version has wider events. Runs as root.

use std::path::Path;

use tempfile::TempDir;
use tests::numbered::{Numbered, complaints};
use tests::programs::{other_tattler, tattler};
use tests::sensor::{Pins, Sensor, command_of};
use tests::traffic::ping;
use tests::world::{HOST, SCANNER, STRANGER, World};

const KEEP: [&str; 3] = ["--interface", "wan0", "--keep"];

fn start<'w>(world: &'w World, binary: &Path, state: &Path) -> Sensor<'w> {
    Sensor::started(command_of(binary, &world.router, state, &KEEP), &world.router, state)
}

#[test]
fn an_upgrade_to_the_same_layout_loses_nothing() {
    let state = TempDir::new().unwrap();
    let (world, _pins) = (World::new(), Pins::of(state.path()));
    let mut sensor = start(&world, &tattler(), state.path());
    let traffic = Numbered::start(&world, 1_000);
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(300));
        sensor.stop();
        sensor = start(&world, &tattler(), state.path());
        assert!(sensor.log().contains("gapless=true"), "{}", sensor.log());
    }
    let last = traffic.stop();
    sensor.stop();
    Sensor::start(&world.router, state.path(), &KEEP[..2]).stop();
    assert_eq!(complaints(state.path(), last), Vec::<String>::new());
}

#[test]
fn an_upgrade_to_another_layout_counts_what_waited() {
    let state = TempDir::new().unwrap();
    let (world, pins) = (World::new(), Pins::of(state.path()));
    let sensor = start(&world, &other_tattler(), state.path());
    ping(&world.internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    sensor.stop();
    // This probe and its answer stay in the ring.
    ping(&world.internet, STRANGER, HOST);

    let sensor = start(&world, &tattler(), state.path());
    let log = sensor.log();
    assert!(log.contains("begun afresh") && log.contains("events=2"), "{log}");
    assert!(sensor.metrics().contains("\ntattler_restart_lost_events_total 2\n"), "{}", sensor.metrics());
    assert_eq!(sensor.status()["lost_between"], 2);
    assert_eq!(sensor.status()["probes"], 1, "the diary is as it was");
    ping(&world.internet, STRANGER, HOST);
    sensor.wait_for("probe", 1);
    assert_eq!(world.router.attached("wan0").1, ["tattler_tce"], "attached once");
    // Only one layout's maps are left.
    let maps = std::fs::read_dir(pins.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(maps.filter(|name| name.starts_with("maps-")).count(), 1);
    // And back to the other version.
    sensor.stop();
    let sensor = start(&world, &other_tattler(), state.path());
    assert!(sensor.log().contains("begun afresh"), "{}", sensor.log());
    drop(sensor);
}
