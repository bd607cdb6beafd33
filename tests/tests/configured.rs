//! The configuration of a running sensor, and the doctor. Runs as root.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use sensor_user::netlink::generic;
use serde_json::Value;
use tempfile::TempDir;
use tests::eventually;
use tests::namespace::Namespace;
use tests::programs::{Bounded, succeed, tattler};
use tests::sensor::{Sensor, WAN0};
use tests::world::{POOL, SITE, World};

const HOME: &str = "2001:db8:42:1::/64";

/// A state directory and a configuration in one.
struct Dir(TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(TempDir::new().expect("make a directory"))
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("tattler.toml")
    }

    fn write(&self, config: &str) {
        fs::write(self.config(), config).expect("write the configuration");
    }

    /// Starts a sensor with `--config`. State and socket are flags, as in all tests.
    fn start<'n>(&self, namespace: &'n Namespace, arguments: &[&str]) -> Sensor<'n> {
        let config = self.config();
        let config = ["--config", config.to_str().expect("UTF-8")];
        Sensor::start(namespace, self.0.path(), &[&config[..], arguments].concat())
    }
}

/// Sends SIGHUP and waits for a log line. Returns the log since.
#[track_caller]
fn reload(sensor: &Sensor<'_>, until: &str) -> String {
    let before = sensor.log().len();
    sensor.signal(libc::SIGHUP);
    eventually(&format!("{until}\n{}", sensor.log()), || {
        let new = sensor.log()[before..].to_owned();
        new.contains(until).then_some(new)
    })
}

#[test]
fn flags_win_over_files_and_sighup_reloads_what_can_change() {
    let (world, dir) = (World::new(), Dir::new());
    dir.write("[sensor]\ninterfaces = [\"nosuch0\"]\nlisten = \"\"\n[home]\nadd = [\"2001:db8:77::/48\"]\n");
    let sensor = dir.start(&world.router, &WAN0);
    let home = |sensor: &Sensor<'_>| {
        let status = sensor.status();
        status["home"].as_array().expect("home").iter().map(|p| p.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(home(&sensor).contains(&"2001:db8:77::/48".to_owned()), "{:?}", home(&sensor));
    assert!(home(&sensor).contains(&HOME.to_owned()));

    // What can change changes. Each other change is a line.
    dir.write(concat!(
        "[sensor]\ninterfaces = [\"wan0\"]\nlisten = \"[::1]:9999\"\nstate = \"/elsewhere\"\n",
        "[home]\nexclude = [\"2001:db8:42::/48\"]\npublic = [\"2001:db8:42:1::80\"]\n",
        "[store]\nretention_days = 3\nwindow_days = 2\n[kernel]\nmap_entries = 2048\n"
    ));
    let log = reload(&sensor, "configuration reloaded");
    let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count("sensor.listen has changed, which takes effect at the next start"), 1, "{log}");
    assert_eq!(count("kernel.map_entries has changed, which takes effect at the next start"), 1, "{log}");
    assert_eq!(count(", which takes effect at"), 2, "--interface and --state win, so their keys say nothing: {log}");
    let changed = "home.add home.exclude home.public store.retention_days store.window_days";
    assert!(log.contains(changed), "{log}");
    eventually("the new home", || (!home(&sensor).contains(&HOME.to_owned())).then_some(()));
    assert!(!home(&sensor).contains(&"2001:db8:77::/48".to_owned()));

    // A bad file changes nothing, and every problem is logged.
    dir.write("[sensor]\nlisten = \"\"\n[home]\nexclud = []\npublic = [\"x\"]\n");
    let log = reload(&sensor, "the sensor keeps the one it had");
    assert!(log.contains("tattler.toml:4:1: unknown key home.exclud; did you mean exclude?"), "{log}");
    assert!(log.contains("tattler.toml:5:11: home.public: `x`"), "{log}");
    assert!(!home(&sensor).contains(&HOME.to_owned()));

    // The next good file is compared with the running configuration.
    dir.write("[sensor]\nlisten = \"\"\n");
    let log = reload(&sensor, "configuration reloaded");
    assert!(!log.contains("has changed, which takes effect"), "{log}");
    eventually("home by netlink", || home(&sensor).contains(&HOME.to_owned()).then_some(()));
    assert!(reload(&sensor, "configuration read again").contains(": nothing has changed"));
    sensor.stop();
}

#[test]
fn exclusions_apply_while_the_sensor_runs() {
    let (world, dir) = (World::new(), Dir::new());
    dir.write("");
    let sensor = dir.start(&world.router, &WAN0);
    let count = |key: &str| sensor.status()[key].as_u64().expect(key);
    // The connection is refused, but the SYN is a contact.
    let visit = |to: Ipv6Addr, port: u16| {
        let reset = world.host.inside(|| TcpStream::connect((to, port)));
        assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    };
    let recorded = |contacts: u64, excluded: u64| {
        eventually(&format!("{contacts} contacts, {excluded} excluded: {}", sensor.status()), || {
            (count("contacts") == contacts && count("excluded") == excluded).then_some(())
        });
    };
    visit(SITE, 80);
    visit(POOL, 80);
    recorded(2, 0);

    dir.write(&format!("[exclude]\nremotes = [\"{POOL}\"]\nports = [\"tcp/25\"]\n"));
    reload(&sensor, "configuration reloaded changed=\"exclude.remotes exclude.ports\"");
    visit(POOL, 443);
    visit(SITE, 25);
    visit(SITE, 443);
    recorded(3, 2);

    // By now the host is in the router's neighbour table.
    let mac = world.host.mac_text("eth0");
    dir.write(&format!("[exclude]\ndevices = [\"{}\"]\n", mac.to_uppercase()));
    reload(&sensor, "configuration reloaded changed=\"exclude.devices exclude.remotes exclude.ports\"");
    visit(SITE, 8080);
    recorded(3, 3);

    // The configuration names a MAC address, the store has its keyed hash.
    dir.write(&format!("[names.devices]\n\"{mac}\" = \"my printer\"\n"));
    reload(&sensor, "configuration reloaded changed=\"exclude.devices names\"");
    visit(SITE, 8081);
    recorded(4, 3);
    let ask = |words: &[&str]| {
        let asked = Command::new(tattler()).args(words).arg("--socket").arg(sensor.socket()).finish();
        let asked = asked.expect("run tattler");
        String::from_utf8_lossy(if asked.status.success() { &asked.stdout } else { &asked.stderr }).into_owned()
    };
    // This query reads the store, which is written twice a second.
    eventually("the name of the host's device", || ask(&["locals"]).contains("my printer").then_some(()));
    let explained = ask(&["explain", &SITE.to_string(), "--format", "csv"]);
    assert!(explained.contains(",my printer,"), "{explained}");

    // `forget` takes that name, and reports a wrong one.
    let slip = ask(&["forget", "my pritner"]);
    assert!(slip.starts_with("tattler: no device is called my pritner,") && slip.lines().count() == 1, "{slip}");
    recorded(4, 3);
    let said = ask(&["forget", "my printer"]);
    assert!(said.starts_with("forgotten: 4 contacts, 0 probes"), "{said}");
    recorded(0, 3);
    assert_eq!(ask(&["locals"]), "nothing matches\n");
    sensor.stop();
}

#[test]
fn every_problem_of_the_configuration_is_a_line_at_the_start() {
    let (world, dir) = (World::new(), Dir::new());
    dir.write("[sensr]\n[store]\nretention_days = 0\n");
    let mut run = Command::new(tattler());
    run.arg("run").arg("--config").arg(dir.config()).arg("--state").arg(dir.0.path().join("state"));
    let output = world.router.command(&run).finish().expect("run tattler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("unknown section or key sensr; did you mean sensor?"), "{said}");
    assert!(said.contains("tattler.toml:3:18: store.retention_days"), "{said}");
    assert!(!dir.0.path().join("state").exists());
}

/// The doctor's exit status and its checks by name: level, finding, advice.
fn doctor(namespace: &Namespace, config: &Path, arguments: &[&str]) -> (Option<i32>, Vec<[String; 4]>) {
    let mut command = Command::new(tattler());
    command.args(["doctor", "--format", "json", "--config"]).arg(config).args(arguments);
    let output = namespace.command(&command).finish().expect("run tattler");
    let examined: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(examined["schema"], "tattler.doctor/1");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = examined["checks"].as_array().expect("checks").iter();
    (output.status.code(), checks.map(|c| ["name", "level", "found", "advice"].map(|key| text(&c[key]))).collect())
}

#[track_caller]
fn check<'a>(checks: &'a [[String; 4]], name: &str) -> [&'a str; 3] {
    let found = checks.iter().find(|check| check[0] == name).unwrap_or_else(|| panic!("no {name} in {checks:?}"));
    [&found[1], &found[2], &found[3]]
}

#[test]
fn the_doctor_finds_a_router_well_and_changes_nothing() {
    let (world, dir) = (World::new(), Dir::new());
    dir.write(&format!("[sensor]\nstate = \"{}\"\n", dir.0.path().join("state").display()));
    let before = (world.router.ip("address"), world.router.attached("wan0"));
    let (status, checks) = doctor(&world.router, &dir.config(), &[]);
    assert_eq!(status, Some(0), "{checks:?}");
    assert_eq!(check(&checks, "home"), ["ok", &format!("{HOME} 2001:db8:ffff::2/128"), ""], "{checks:?}");
    assert_eq!(check(&checks, "uplink")[1], "wan0 (veth) is up");
    assert!(check(&checks, "xdp")[1].contains("native"), "{checks:?}");
    assert_eq!(check(&checks, "ipv6")[1], "this machine forwards: a router");
    assert_eq!(check(&checks, "programs")[0], "ok");
    assert_eq!((world.router.ip("address"), world.router.attached("wan0")), before);
    assert!(!dir.0.path().join("state").exists());
}

/// The offload that hides VLAN tags. A veth can't set hw-tc-offload, and VLAN devices and flowtables depend on the kernel.
#[test]
fn the_doctor_knows_offloads_as_ethtool_sets_them() {
    let world = World::new();
    let network = tests::watcher::network(&world.router);
    let index = network.device("wan0").expect("wan0 is there").index;
    let hides_tags = || {
        let active = world.router.inside(|| generic::offloads(index)).expect("features");
        active.iter().any(|feature| feature == "rx-vlan-hw-parse")
    };
    for (state, hidden) in [("off", false), ("on", true), ("off", false)] {
        succeed(&mut world.router.tool("ethtool", &["-K", "wan0", "rxvlan", state]));
        assert_eq!(hides_tags(), hidden, "{state}");
    }
}

#[test]
fn the_doctor_names_what_is_missing_with_the_way_out() {
    let (world, dir) = (World::new(), Dir::new());
    dir.write("");
    world.router.ip("-6 route del default");
    let (status, checks) = doctor(&world.router, &dir.config(), &[]);
    assert_eq!(status, Some(1));
    let [level, found, advice] = check(&checks, "uplink");
    assert_eq!((level, found), ("problem", "there is no IPv6 default route to find the uplink by"));
    assert!(advice.contains("--interface"), "{advice}");

    let (status, checks) = doctor(&world.router, &dir.config(), &["--interface", "wan9"]);
    assert_eq!((status, check(&checks, "uplink")[1]), (Some(1), "there is no interface wan9"));

    world.router.ip("link set wan0 down");
    let (status, checks) = doctor(&world.router, &dir.config(), &WAN0);
    assert_eq!((status, check(&checks, "uplink")[1]), (Some(1), "wan0 (veth) is down"));

    let empty = Namespace::new("empty");
    let (status, checks) = doctor(&empty, &dir.config(), &["--interface", "lo"]);
    assert_eq!(status, Some(1));
    assert_eq!(check(&checks, "home")[1], "no prefix is ours, so nothing would be recorded");

    empty.set("ipv6/conf/all/disable_ipv6", "1");
    let (_, checks) = doctor(&empty, &dir.config(), &["--interface", "lo"]);
    assert_eq!(check(&checks, "ipv6")[..2], ["problem", "switched off"]);
}

#[test]
fn the_doctor_sees_a_running_sensor() {
    let (world, dir) = (World::new(), Dir::new());
    let socket = dir.0.path().join("tattler.sock");
    dir.write(&format!("[sensor]\nstate = \"{}\"\nsocket = \"{}\"\n", dir.0.path().display(), socket.display()));
    let sensor = dir.start(&world.router, &[]);
    let (status, checks) = doctor(&world.router, &dir.config(), &[]);
    assert_eq!(status, Some(0), "{checks:?}");
    assert!(check(&checks, "socket")[1].starts_with("a sensor runs and answers at"), "{checks:?}");
    assert_eq!(check(&checks, "listen")[1], "a sensor serves its metrics at [::1]:9646");
    sensor.stop();
    assert_eq!(check(&doctor(&world.router, &dir.config(), &[]).1, "listen")[1], "[::1]:9646 is free");
}
