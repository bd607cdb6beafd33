//! Forget, acknowledge and export while a sensor runs. Runs as root.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;

use aya::maps::{HashMap, Map, MapData};
use sensor_common::names;
use sensor_user::datapath::pins_of;
use tempfile::TempDir;
use tests::programs::{Bounded, tattler};
use tests::sensor::{Pins, Sensor, WAN0};
use tests::traffic::{ping, visit};
use tests::world::{HOST, SCANNER, SITE, World};

/// The output of a command, or its error.
fn ask(arguments: &[&str], at: &Path) -> Result<String, String> {
    let output = Command::new(tattler()).args(arguments).arg(at).finish().expect("run tattler");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn holds(state: &Path, address: Ipv6Addr) -> bool {
    let files = fs::read_dir(state).expect("read the state directory").map(|entry| entry.expect("an entry").path());
    let needle = address.octets();
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = fs::read(path).expect("read a file of the state directory");
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

/// Entries for a remote in the pinned table of pairs of a local and a remote.
fn pairs(state: &Path, remote: Ipv6Addr) -> usize {
    let maps = fs::read_dir(pins_of(state)).expect("pins").map(|entry| entry.expect("an entry").path());
    let mut maps = maps.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("maps-")));
    let data = MapData::from_pin(maps.next().expect("pinned maps").join(names::PAIRS)).expect("a pinned table");
    let keys: HashMap<_, [u8; 32], [u64; 3]> = HashMap::try_from(Map::LruHashMap(data)).expect("pairs");
    keys.keys().filter(|key| key.as_ref().is_ok_and(|key| key[16..] == remote.octets())).count()
}

#[test]
fn tables_left_to_the_next_run_have_forgotten() {
    let (world, state) = (World::new(), TempDir::new().expect("make a state directory"));
    let _pins = Pins::of(state.path());
    let sensor = Sensor::start(&world.router, state.path(), &["--interface", "wan0", "--keep"]);
    [SITE, SCANNER].iter().for_each(|&remote| visit(&world, remote, 80));
    sensor.wait_for("contact", 2);
    ask(&["forget", &SITE.to_string(), "--socket"], &state.path().join("tattler.sock")).unwrap();
    assert_eq!(pairs(state.path(), SITE), 1, "the rules still need it");
    sensor.stop();
    assert_eq!((pairs(state.path(), SITE), pairs(state.path(), SCANNER)), (0, 1));
}

#[test]
#[ignore = "takes five minutes"]
fn kernel_tables_forget_once_the_rules_no_longer_need_them() {
    let (world, state) = (World::new(), TempDir::new().expect("make a state directory"));
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    [SITE, SCANNER].iter().for_each(|&remote| visit(&world, remote, 80));
    sensor.wait_for("contact", 2);
    let pairs = |remote| pairs(state.path(), remote);
    assert_eq!((pairs(SITE), pairs(SCANNER)), (1, 1));
    ask(&["forget", &SITE.to_string(), "--socket"], &state.path().join("tattler.sock")).unwrap();
    assert_eq!(pairs(SITE), 1, "the rules still need it");
    std::thread::sleep(std::time::Duration::from_secs(303));
    assert_eq!((pairs(SITE), pairs(SCANNER)), (0, 1));
    sensor.stop();
}

#[test]
fn a_running_sensor_forgets_on_disk_and_in_memory() {
    let (world, state) = (World::new(), TempDir::new().expect("make a state directory"));
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let socket = state.path().join("tattler.sock");

    visit(&world, SITE, 80);
    ping(&world.internet, SCANNER, HOST);
    sensor.wait_for("contact", 1);
    sensor.wait_for("probe", 1);
    tests::eventually("the diary is written", || {
        (holds(state.path(), SCANNER) && holds(state.path(), SITE)).then_some(())
    });

    // A backup while it runs.
    let lines = ask(&["export", "--all", "--state"], state.path()).unwrap();
    assert!(lines.contains(&SITE.to_string()) && lines.contains(&SCANNER.to_string()), "{lines}");
    // Only the sensor may change the files.
    let refused = ask(&["forget", "printer", "--state"], state.path()).unwrap_err();
    assert!(refused.contains("in use by another tattler (process "), "{refused}");

    ask(&["ack", &SITE.to_string(), "--note", "ours", "--socket"], &socket).unwrap();
    assert!(ask(&["ack", "--list", "--socket"], &socket).unwrap().contains("for good"));

    let said = ask(&["forget", &SCANNER.to_string(), "--socket"], &socket).unwrap();
    assert!(said.starts_with("forgotten: 0 contacts, 1 probe, 1 answer,"), "{said}");
    assert!(!holds(state.path(), SCANNER) && holds(state.path(), SITE));
    assert_eq!((&sensor.status()["probes"], &sensor.status()["contacts"]), (&0.into(), &1.into()));
    let said = ask(&["forget", &SITE.to_string(), "--socket"], &socket).unwrap();
    assert_eq!(said, "forgotten: 1 contact, 0 probes, 0 answers, 1 acknowledgement\n");
    assert!(!holds(state.path(), SITE));
    assert_eq!(ask(&["ack", "--list", "--socket"], &socket).unwrap(), "Nothing is acknowledged.\n");

    // The sensor still records.
    visit(&world, SITE, 81);
    sensor.wait_for("contact", 2);
    tests::eventually("the diary goes on", || holds(state.path(), SITE).then_some(()));
}
