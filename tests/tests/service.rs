//! The unit of dist/ under a real service manager. Runs as root.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::manager::{HERE, Manager};
use tests::numbered::{Numbered, complaints};
use tests::programs::{succeed, tattler};
use tests::sensor::{Pins, exists};
use tests::within;
use tests::world::World;

const UNIT: &str = "tattler.service";

/// A home whose router runs the unit, with paths of this test and a shorter watchdog time.
struct Service {
    manager: Manager,
    world: World,
    /// The state directory as the sensor names it.
    state: String,
    directory: TempDir,
    _pins: Pins,
}

impl Service {
    fn new() -> Service {
        let (world, directory) = (World::new(), TempDir::new().unwrap());
        let name = world.router.name();
        let state = format!("/var/lib/{name}");
        let unit =
            fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist/tattler.service")).unwrap();
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/sbin/tattler ")).unwrap();
        // The manager can't write to the machine's files, so all files are in the test's directory.
        fs::copy(tattler(), directory.path().join("tattler")).expect("copy the binary");
        let drop_in = format!(
            "[Service]\nStateDirectory=\nStateDirectory={name}\nWatchdogSec=4\nStandardError=append:{HERE}/sensor.log\n\
             ExecStart=\nExecStart={HERE}/tattler {line} --interface wan0 --state {state}\n",
        );
        let units = [(UNIT, unit), ("tattler.service.d/test.conf", drop_in)];
        let pins = Pins::of(state.as_ref());
        let manager = Manager::start(&world.router, directory.path(), &units);
        Service { manager, world, state, directory, _pins: pins }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("sensor.log")).unwrap_or_default()
    }

    fn process(&self) -> i32 {
        self.manager.property(UNIT, "MainPID").parse().expect("a process")
    }

    fn signal(&self, signal: &str) {
        self.manager.ask(&["kill", "--kill-whom=main", "--signal", signal, UNIT]);
    }

    /// Waits until another process is ready.
    fn waits_for_another(&self, process: i32) {
        within(30, "it was started again", || {
            // Both at once: the process may end between two queries.
            let shown = self.manager.ask(&["show", "--property", "ActiveState,MainPID", UNIT]);
            let is = |line: &str| shown.lines().any(|shown| shown == line);
            let is_another = !is(&format!("MainPID={process}")) && !is("MainPID=0");
            (is("ActiveState=active") && is_another).then_some(())
        });
    }
}

#[test]
fn the_unit_restarts_a_killed_or_stuck_sensor_without_loss() {
    let service = Service::new();
    let Service { manager, world, state, .. } = &service;
    // Returns when the sensor has said that it is ready.
    manager.ask(&["start", UNIT]);
    assert!(service.log().contains(" ready"), "{}", service.log());
    assert_eq!(manager.property(UNIT, "ActiveState"), "active");
    let traffic = Numbered::start(world, 500);
    let mut unseen = Vec::new();
    for what in ["killed", "restarted", "stuck"] {
        sleep(Duration::from_millis(500));
        let (process, began) = (service.process(), Instant::now());
        match what {
            "killed" => service.signal("SIGKILL"),
            "restarted" => _ = manager.ask(&["restart", UNIT]),
            _ => service.signal("SIGSTOP"),
        }
        service.waits_for_another(process);
        unseen.push(format!("{what}: {:.1} s", began.elapsed().as_secs_f64()));
    }
    let log = service.log();
    assert_eq!(log.matches("adopted programs and maps that an earlier run left").count(), 3, "{log}");
    manager.ask(&["reload", UNIT]);
    within(5, "the configuration is read again", || service.log().contains("configuration read again").then_some(()));
    let last = traffic.stop();
    manager.ask(&["stop", UNIT]);
    assert_eq!(manager.property(UNIT, "Result"), "success");
    println!("{last} numbers; until it was ready again: {}", unseen.join(", "));

    // A stop leaves programs and maps to the next run, which stores what they saw meanwhile.
    assert_eq!(world.router.attached("wan0").0, "xdp");
    manager.ask(&["start", UNIT]);
    manager.ask(&["stop", UNIT]);
    // SQLite can't open a path through another process's root.
    let copy = service.directory.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(manager.path(state)).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    assert_eq!(complaints(&copy, last), Vec::<String>::new());

    let mut detach = std::process::Command::new(tattler());
    detach.args(["detach", "--state", state]);
    let said = succeed(&mut world.router.command(&detach));
    assert!(said.contains("unpinned /sys/fs/bpf/tattler/"), "{said}");
    within(5, "nothing is attached", || (world.router.attached("wan0") == Default::default()).then_some(()));
    assert!(!exists(Pins::of(state.as_ref()).path()));
}
