//! `tattler detach` removes what a crashed sensor left, and nothing else. Runs as root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aya::programs::links::FdLink;
use aya::programs::tc::{NlOptions, TcAttachOptions, qdisc_add_clsact};
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use sensor_common::names;
use tempfile::TempDir;
use tests::kernel::object;
use tests::namespace::{Namespace, watched};
use tests::programs::{succeed, tattler};
use tests::sensor::{Sensor, WAN0, exists, fails};
use tests::world::World;

/// A directory for pins of one test. Dropping it removes them.
struct Pins(PathBuf);

impl Pins {
    fn new(name: &str) -> Pins {
        let pins = Pins(PathBuf::from(format!("/sys/fs/bpf/{}{}-{name}", tests::namespace::STEM, std::process::id())));
        fs::create_dir_all(pins.0.join("links")).expect("make a directory for pins, as root");
        pins
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn detach(namespace: &Namespace, state: &Path, pins: &Path, force: bool) -> Command {
    let mut detach = Command::new(tattler());
    detach.arg("detach").arg("--state").arg(state).arg("--pins").arg(pins);
    if force {
        detach.arg("--force");
    }
    namespace.command(&detach)
}

#[test]
fn pinned_programs_go_with_their_pins() {
    let (world, state, pins) = (World::new(), TempDir::new().unwrap(), Pins::new("pins"));
    let mut ebpf = object();
    world.router.inside(|| {
        let xdp: &mut Xdp = ebpf.program_mut(names::INGRESS).unwrap().try_into().unwrap();
        xdp.load().unwrap();
        let id = xdp.attach("wan0", XdpMode::Driver).unwrap();
        let link: FdLink = xdp.take_link(id).unwrap().try_into().unwrap();
        link.pin(pins.0.join("links/ingress")).unwrap();
        let classifier: &mut SchedClassifier = ebpf.program_mut(names::EGRESS).unwrap().try_into().unwrap();
        classifier.load().unwrap();
        let id = classifier.attach("wan0", TcAttachType::Egress).unwrap();
        let link: FdLink = classifier.take_link(id).unwrap().try_into().unwrap();
        link.pin(pins.0.join("links/egress")).unwrap();
        ebpf.map_mut(names::COUNTERS).unwrap().pin(pins.0.join("counters")).unwrap();
    });
    drop(ebpf);
    assert_eq!(world.router.attached("wan0"), watched("xdp"), "the pins hold them");

    let said = succeed(&mut detach(&world.router, state.path(), &pins.0, false));
    let lines =
        ["counters", "links/egress", "links/ingress"].map(|name| format!("unpinned {}/{name}", pins.0.display()));
    assert_eq!(said.lines().collect::<Vec<_>>(), lines);
    tests::eventually("they are detached", || (world.router.attached("wan0") == Default::default()).then_some(()));
    assert!(!exists(&pins.0));
    assert_eq!(succeed(&mut detach(&world.router, state.path(), &pins.0, false)), "nothing was left\n");
    // A sensor can attach again.
    Sensor::start(&world.router, state.path(), &WAN0).stop();
}

#[test]
fn detach_removes_our_filters_and_keeps_those_of_others() {
    let (world, state, pins) = (World::new(), TempDir::new().unwrap(), Pins::new("filters"));
    let mut ebpf = object();
    let classifier: &mut SchedClassifier = ebpf.program_mut(names::EGRESS).unwrap().try_into().unwrap();
    classifier.load().unwrap();
    world.router.inside(|| {
        qdisc_add_clsact("wan0").unwrap();
        let options = TcAttachOptions::Netlink(NlOptions::default());
        let id = classifier.attach_with_options("wan0", TcAttachType::Egress, options).unwrap();
        // As if the process had been killed.
        std::mem::forget(classifier.take_link(id).unwrap());
    });
    // A filter of another tool, with the same code under another name.
    let other = Pins::new("other");
    classifier.pin(other.0.join("program")).unwrap();
    let program = other.0.join("program");
    let add = ["filter", "add", "dev", "wan0", "egress", "bpf", "direct-action", "object-pinned"];
    succeed(world.router.tool("tc", &add).arg(&program));
    drop(ebpf);
    let filters = || succeed(&mut world.router.tool("tc", &["filter", "show", "dev", "wan0", "egress"]));
    assert!(filters().contains(&format!(" 0x1 {} ", names::EGRESS)) && filters().contains("[*fsobj]"), "{}", filters());

    let said = succeed(&mut detach(&world.router, state.path(), &pins.0, false));
    assert!(said.starts_with(&format!("detached {} from wan0\n", names::EGRESS)), "{said}");
    let left = filters();
    assert!(!left.contains(&format!(" 0x1 {} ", names::EGRESS)) && left.contains("[*fsobj]"), "{left}");
}

#[test]
fn nothing_of_a_running_sensor_is_detached() {
    let (world, state, pins) = (World::new(), TempDir::new().unwrap(), Pins::new("running"));
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let words = ["is in use", "stop the sensor first", "--force"];
    fails(&mut detach(&world.router, state.path(), &pins.0, false), 1, &words);
    assert!(exists(&pins.0), "nothing was touched");
    let words = [names::EGRESS, "stays attached to wan0", "a process that runs"];
    fails(&mut detach(&world.router, state.path(), &pins.0.join("none"), true), 1, &words);
    assert_eq!(world.router.attached("wan0"), watched("xdp"));
    sensor.stop();
}

#[test]
fn detach_touches_nothing_outside_a_bpf_file_system() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let dear = state.path().join("dear");
    let empty = state.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(&dear, "mine").unwrap();
    fs::write(empty.with_file_name("more"), "").unwrap();
    fails(&mut detach(&world.router, state.path(), state.path(), false), 1, &["is on no BPF file system", "--pins"]);
    assert_eq!(fs::read_to_string(&dear).unwrap(), "mine");
    assert!(empty.is_dir());
}
