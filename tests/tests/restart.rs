//! From one run of the sensor to the next: after a kill, a stop, and a stop with --keep. Runs as root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use aya::programs::tc::{NlOptions, TcAttachOptions, qdisc_add_clsact};
use aya::programs::{SchedClassifier, TcAttachType};
use sensor_common::names;
use sensor_user::datapath::{self, Adopted, Datapath, Pins as Pinned, Sizes};
use sensor_user::mark::Mark;
use sensor_user::store::{self, Store, Writer};
use tattler_core::event::observation;
use tattler_core::home;
use tattler_core::time::Time;
use tempfile::TempDir;
use tests::eventually;
use tests::kernel::object;
use tests::namespace::{Namespace, watched};
use tests::numbered::{Numbered, complaints};
use tests::programs::{Bounded, succeed, tool};
use tests::sensor::{Pins, Sensor, WAN0, command, exists, fails};
use tests::stored::Stored;
use tests::traffic::{ping, say, udp};
use tests::world::{HOST, SCANNER, SITE, STRANGER, World};

const KEEP: [&str; 3] = ["--interface", "wan0", "--keep"];
const ECHO: u8 = 1;

/// A world, a state directory, and its pins.
struct Home {
    world: World,
    pins: Pins,
    state: TempDir,
}

impl Home {
    fn new() -> Home {
        let state = TempDir::new().expect("make a state directory");
        Home { world: World::new(), pins: Pins::of(state.path()), state }
    }

    fn start(&self, arguments: &[&str]) -> Sensor<'_> {
        Sensor::start(&self.world.router, self.state.path(), arguments)
    }

    fn state(&self) -> &Path {
        self.state.path()
    }

    fn pins(&self) -> &Path {
        self.pins.path()
    }
}

fn nothing(namespace: &Namespace) -> bool {
    namespace.attached("wan0") == Default::default()
}

/// Kills and starts a sensor under traffic. Checks that each of more than `least` numbers is stored once.
fn kill_loop(kills: u32, per_second: u32, least: u16) {
    let home = Home::new();
    let mut sensor = home.start(&WAN0);
    let traffic = Numbered::start(&home.world, per_second);
    let mut unwatched = Duration::ZERO;
    for kill in 0..kills {
        // At a different moment each time: between ring and store, while it writes, at its start.
        sleep(Duration::from_millis(u64::from(kill * 137 % 700)));
        let killed = Instant::now();
        sensor.end(libc::SIGKILL);
        sleep(Duration::from_millis(u64::from(kill * 53 % 300)));
        sensor = home.start(&WAN0);
        unwatched += killed.elapsed();
        assert!(sensor.log().contains("adopted programs and maps that an earlier run left"), "{}", sensor.log());
        assert!(!sensor.log().contains("never wrote"), "{}", sensor.log());
    }
    let last = traffic.stop();
    sensor.stop();
    println!("{last} probes and as many contacts, {kills} kills, {:.1} s without a sensor", unwatched.as_secs_f64());
    assert!(last > least, "{last} numbers");
    let complaints = complaints(home.state(), last);
    assert!(complaints.is_empty(), "{} complaints: {:?}", complaints.len(), &complaints[..complaints.len().min(20)]);
}

#[test]
fn a_sensor_killed_over_and_over_has_every_event_once() {
    kill_loop(25, 1_000, 5_000);
}

#[test]
#[ignore = "a measurement of four minutes"]
fn two_hundred_runs_have_every_event_once() {
    kill_loop(200, 300, 30_000);
}

#[test]
fn with_keep_the_next_run_finds_what_happened_meanwhile() {
    let home = Home::new();
    let World { host, router, internet } = &home.world;
    let sensor = home.start(&KEEP);
    ping(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    sensor.stop();
    assert_eq!(router.attached("wan0"), watched("xdp"), "the programs stay");
    assert!(exists(home.pins()));
    ping(internet, SCANNER, HOST);
    ping(host, HOST, STRANGER);
    let sensor = home.start(&KEEP);
    eventually("both are seen", || (sensor.fates("contact")[1] == 2 && sensor.fates("probe")[1] == 1).then_some(()));
    assert_eq!(router.attached("wan0"), watched("xdp"), "once");
    // The last run removes everything.
    sensor.stop();
    home.start(&WAN0).stop();
    assert!(nothing(router) && !exists(home.pins()), "without --keep nothing stays");
    let stored = Stored::read(home.state());
    assert_eq!(stored.probes, [(SCANNER, HOST, ECHO, 0)].into());
    let contacted: Vec<_> = stored.contacts.iter().map(|contact| contact.1).collect();
    assert_eq!(contacted, [SITE, STRANGER]);
}

#[test]
fn every_way_to_attach_is_adopted_and_removed() {
    for mode in ["native", "generic", "tc"] {
        let home = Home::new();
        let arguments = [&WAN0[..], &["--attach", mode]].concat();
        let mut sensor = home.start(&arguments);
        sensor.end(libc::SIGKILL);
        ping(&home.world.internet, SCANNER, HOST);
        let sensor = home.start(&arguments);
        assert!(sensor.log().contains("gapless=true"), "{mode}: {}", sensor.log());
        assert_eq!(sensor.status()["uplinks"][0]["mode"], mode);
        sensor.wait_for("probe", 1);
        sensor.stop();
        assert!(nothing(&home.world.router) && !exists(home.pins()), "{mode}");
        let left = home.world.router.inside(|| SchedClassifier::query_tcx("wan0", TcAttachType::Ingress)).unwrap();
        assert!(left.1.is_empty(), "{mode}");
        assert_eq!(Stored::read(home.state()).probes, [(SCANNER, HOST, ECHO, 0)].into());
    }
}

#[test]
fn another_way_to_attach_starts_fresh() {
    let home = Home::new();
    home.start(&[&KEEP[..], &["--attach", "generic"]].concat()).stop();
    assert_eq!(home.world.router.attached("wan0").0, "xdpgeneric");
    let sensor = home.start(&[&WAN0[..], &["--attach", "native"]].concat());
    assert_eq!(home.world.router.attached("wan0"), watched("xdp"));
    assert!(sensor.log().contains("gapless=false"), "{}", sensor.log());
    sensor.stop();
}

/// Attaches a filter as kernels without tcx do, and leaves it as a killed process does. Pins it like a sensor if `pin`.
fn leave_filter(home: &Home, device: &str, way: TcAttachType, name: &str, pin: bool) {
    let mut ebpf = object();
    let program: &mut SchedClassifier = ebpf.program_mut(name).expect(name).try_into().unwrap();
    program.load().unwrap();
    let index = home.world.router.index(device);
    home.world.router.inside(|| {
        let _ = qdisc_add_clsact(device);
        let id = program.attach_with_options(device, way, TcAttachOptions::Netlink(NlOptions::default())).unwrap();
        let link = program.take_link(id).unwrap();
        if pin {
            let (priority, handle) = (link.priority().unwrap(), u32::from(link.handle().unwrap()));
            let namespace = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
            let way = if way == TcAttachType::Ingress { "in" } else { "out" };
            let links = home.pins().join("links");
            fs::create_dir_all(&links).unwrap();
            let path = links.join(format!("{namespace}-{index}-{way}-{name}-clsact-{priority}-{handle:08x}"));
            program.pin(path).unwrap();
        }
        std::mem::forget(link);
    });
}

#[test]
fn leftover_filters_of_a_kernel_without_tcx_are_removed() {
    let home = Home::new();
    let router = &home.world.router;
    leave_filter(&home, "wan0", TcAttachType::Ingress, names::INGRESS_TC, true);
    leave_filter(&home, "lan0", TcAttachType::Egress, names::EGRESS, true);
    let filters = |device, way| succeed(&mut router.tool("tc", &["filter", "show", "dev", device, way]));
    assert!(filters("wan0", "ingress").contains("tattler_tci") && filters("lan0", "egress").contains("tattler_"));
    // Another way to attach, and another uplink.
    let sensor = home.start(&[&WAN0[..], &["--attach", "native"]].concat());
    assert_eq!(filters("wan0", "ingress"), "", "each probe would be seen twice");
    assert_eq!(filters("lan0", "egress"), "", "lan0 is no uplink");
    sensor.stop();
    assert!(nothing(router) && !exists(home.pins()));
}

#[test]
fn a_filter_that_another_tool_put_in_place_of_ours_stays() {
    let home = Home::new();
    let router = &home.world.router;
    let filters = |device| succeed(&mut router.tool("tc", &["filter", "show", "dev", device, "egress"]));
    // On the uplink, where ours would be replaced in place, and on another device.
    for device in ["wan0", "lan0"] {
        leave_filter(&home, device, TcAttachType::Egress, names::EGRESS, true);
        succeed(&mut router.tool("tc", &["qdisc", "del", "dev", device, "clsact"]));
        leave_filter(&home, device, TcAttachType::Egress, names::INGRESS_TC, false);
    }
    let before = ["wan0", "lan0"].map(filters);
    assert!(before.iter().all(|filters| filters.contains(names::INGRESS_TC)), "{before:?}");
    let sensor = home.start(&WAN0);
    assert_eq!(["wan0", "lan0"].map(filters), before);
    assert!(sensor.log().contains("its filter was removed or replaced"), "{}", sensor.log());
    sensor.stop();
    assert_eq!(["wan0", "lan0"].map(filters), before);
}

#[test]
fn an_adopting_run_knows_the_ports_in_use() {
    let home = Home::new();
    let World { host, internet, .. } = &home.world;
    let mut sensor = home.start(&WAN0);
    let (local, remote) = (udp(host, HOST, 5_000), udp(internet, SITE, 53));
    say(&local, &remote);
    sensor.wait_for("contact", 1);
    sensor.end(libc::SIGKILL);
    let sensor = home.start(&WAN0);
    // From a stranger to a port in use: a probe only for a sensor that does not know the port.
    let stranger = udp(internet, STRANGER, 999);
    say(&stranger, &local);
    ping(internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    sensor.stop();
    assert_eq!(Stored::read(home.state()).probes, [(SCANNER, HOST, ECHO, 0)].into());
}

#[test]
fn other_map_sizes_start_fresh_and_the_log_has_the_cost() {
    let home = Home::new();
    let World { router, internet, .. } = &home.world;
    home.start(&KEEP).stop();
    for _ in 0..3 {
        ping(internet, SCANNER, HOST);
    }
    let config = home.state().join("smaller.toml");
    fs::write(&config, "[kernel]\nring_mib = 1\n").unwrap();
    let sensor = home.start(&["--interface", "wan0", "--config", config.to_str().unwrap()]);
    let log = sensor.log();
    // The probe, its answer, its first repeat.
    assert!(log.contains("begun afresh") && log.contains("events=3"), "{log}");
    assert!(!log.contains("went on with"), "{log}");
    assert_eq!(router.attached("wan0"), watched("xdp"));
    ping(internet, STRANGER, HOST);
    sensor.wait_for("probe", 1);
    sensor.stop();
    assert!(nothing(router) && !exists(home.pins()));
    assert_eq!(Stored::read(home.state()).probes, [(STRANGER, HOST, ECHO, 0)].into());
}

#[test]
fn an_uplink_recreated_while_no_sensor_ran_is_attached_again() {
    let home = Home::new();
    let World { router, internet, .. } = &home.world;
    home.start(&KEEP).stop();
    ping(internet, SCANNER, HOST);
    router.ip("link delete wan0");
    home.world.connect("wan0", "");
    let sensor = home.start(&KEEP);
    assert!(sensor.log().contains("gapless=false"), "{}", sensor.log());
    assert_eq!(router.attached("wan0"), watched("xdp"));
    ping(internet, STRANGER, HOST);
    sensor.wait_for("probe", 2);
    sensor.stop();
    let probes = Stored::read(home.state()).probes;
    assert_eq!(probes, [(SCANNER, HOST, ECHO, 0), (STRANGER, HOST, ECHO, 0)].into());
}

/// A start that fails at its second uplink, which another tattler watches.
fn fails_at_the_second_uplink(home: &Home, arguments: &[&str]) {
    let World { router, internet, .. } = &home.world;
    let other = TempDir::new().unwrap();
    router.link("wan1", internet, "net1");
    let taken = Sensor::start(router, other.path(), &["--interface", "wan1", "--listen", ""]);
    let uplinks = ["--interface", "wan0", "--interface", "wan1", "--listen", ""];
    let output = command(router, home.state(), &[&uplinks, arguments].concat()).finish().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("wan1: another XDP program"), "{said}");
    taken.stop();
    router.ip("link delete wan1");
}

#[test]
fn a_failed_start_leaves_what_it_found_to_the_next_one() {
    let home = Home::new();
    let World { router, internet, .. } = &home.world;
    let mut sensor = home.start(&WAN0);
    sensor.end(libc::SIGKILL);
    ping(internet, SCANNER, HOST);
    fails_at_the_second_uplink(&home, &[]);
    let sensor = home.start(&WAN0);
    sensor.wait_for("probe", 1);
    sensor.stop();
    assert!(nothing(router) && !exists(home.pins()));
    assert_eq!(Stored::read(home.state()).probes, [(SCANNER, HOST, ECHO, 0)].into());
}

#[test]
fn a_failed_first_start_leaves_nothing_even_with_keep() {
    let home = Home::new();
    fails_at_the_second_uplink(&home, &["--keep"]);
    assert!(nothing(&home.world.router) && !exists(home.pins()));
}

#[test]
fn pins_that_another_process_holds_are_not_adopted() {
    let home = Home::new();
    home.start(&KEEP).stop();
    let held = datapath::lock_pins(home.pins()).unwrap();
    fails(&mut command(&home.world.router, home.state(), &WAN0), 1, &["the pins in", "in use by another tattler"]);
    drop(held);
    home.start(&WAN0).stop();
    // The sensor pins nothing where others could change it.
    fs::create_dir_all(home.pins()).unwrap();
    fs::set_permissions(home.pins(), fs::Permissions::from_mode(0o777)).unwrap();
    let sensor = home.start(&WAN0);
    assert!(sensor.log().contains("others can write to"), "{}", sensor.log());
    sensor.stop();
    assert!(nothing(&home.world.router));
}

#[test]
fn a_second_sensor_is_refused_and_the_first_still_sees() {
    let home = Home::new();
    let World { router, internet, .. } = &home.world;
    let sensor = home.start(&WAN0);
    let again = |state: &Path| command(router, state, &["--interface", "wan0", "--listen", ""]);
    fails(&mut again(home.state()), 1, &["in use by another tattler"]);
    // With another state directory it finds the uplink in use.
    let other = TempDir::new().unwrap();
    let output = again(other.path()).finish().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let way_out = format!("it is a tattler's: stop that, or `tattler detach --pins {}`", home.pins().display());
    assert!(said.contains(&way_out), "{said}");
    assert!(!exists(Pins::of(other.path()).path()), "it leaves nothing");
    assert_eq!(router.attached("wan0"), watched("xdp"));
    ping(internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    sensor.stop();
    assert!(nothing(router));
}

#[test]
fn without_a_bpf_file_system_the_sensor_runs_and_warns() {
    let home = Home::new();
    let World { router, internet, .. } = &home.world;
    let run = command(router, home.state(), &WAN0);
    // The machine's BPF file system may be below that of the tests.
    let script = r#"while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$@""#;
    let mut bare = tool("unshare");
    bare.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    bare.arg(run.get_program()).args(run.get_args());
    let sensor = Sensor::started(bare, router, home.state());
    let log = sensor.log();
    assert!(log.contains("/sys/fs/bpf is no BPF file system; `mount -t bpf"), "{log}");
    ping(internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    assert!(!exists(home.pins()));
    sensor.stop();
    assert!(nothing(router));
}

/// A datapath with the pins of `home`, as a run of the sensor loads it.
fn load(home: &Home) -> Datapath {
    home.world.router.inside(|| {
        let pins = Pinned::open(home.state(), Sizes::default()).expect("a file system for pins");
        Datapath::load(Sizes::default(), Some(pins), true).expect("load, as root")
    })
}

/// A first run that is attached and has six events in its ring: three probes and their answers.
fn with_six_events(home: &Home) -> Datapath {
    let World { router, internet, .. } = &home.world;
    let uplink = tests::watcher::network(router).device("wan0").expect("the uplink").clone();
    let mut first = load(home);
    assert_eq!(first.resume(None), None, "there is no earlier run");
    first.set_home(&[home::HomePrefix { prefix: "2001:db8:42::/48".parse().unwrap(), ours: true }]).unwrap();
    router.inside(|| first.attach(&uplink, None).map(drop)).unwrap();
    for source in [SCANNER, STRANGER, SITE] {
        ping(internet, source, HOST);
    }
    first.begin();
    first
}

#[test]
fn stored_events_are_not_taken_out_of_the_ring_again() {
    let home = Home::new();
    let count = |datapath: &mut Datapath, most| datapath.drain(most, |_| {}).events;
    let mut first = with_six_events(&home);
    // The process ends when four events are in the store.
    assert_eq!(count(&mut first, 4), 4);
    let mark = first.mark(7);
    drop(first);

    let mut second = load(&home);
    assert_eq!(second.resume(Some(mark)), Some(Adopted { waiting: 2, unwritten: 0 }));
    assert_eq!(count(&mut second, 100), 2, "and no more");
    // Their room is given back, but they are never written. The next run counts that.
    second.release(second.position());
    drop(second);
    let mut third = load(&home);
    assert_eq!(third.resume(Some(mark)), Some(Adopted { waiting: 0, unwritten: 2 }));
    // The mark of another boot does not count.
    assert_eq!(third.resume(Some(Mark { boot: 0, ..mark })), Some(Adopted { waiting: 0, unwritten: 0 }));
}

#[test]
fn a_run_that_ended_between_store_and_ring_stores_nothing_twice() {
    let home = Home::new();
    let mut first = with_six_events(&home);
    // Four events are in the store, but their room in the ring was not given back.
    let booted = Time::from_seconds(1_800_000_000);
    let mut observations = Vec::new();
    first.drain(4, |event| observations.extend(observation(&event, 0, booted)));
    assert_eq!(observations.len(), 4);
    let mark = first.mark(7);
    let writer = Writer::start(Store::open(home.state()).unwrap(), store::StoreSettings::default()).unwrap();
    assert!(writer.send_up_to(observations, mark));
    assert_eq!(writer.finish().written, 4);
    drop(first);

    let sensor = home.start(&WAN0);
    assert!(sensor.log().contains("events=2 gapless=true"), "{}", sensor.log());
    sensor.stop();
    let database = rusqlite::Connection::open(home.state().join("tattler.db")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!((count("SELECT sum(count) FROM probes"), count("SELECT count(*) FROM answers")), (3, 3));
}
