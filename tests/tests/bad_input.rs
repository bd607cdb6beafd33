//! Failed starts and queries print one line that names the object and the way out, with exit status 1, or 2 for wrong
//! usage, and no backtrace. Runs as root.

use std::fs::{self, Permissions};
use std::net::Ipv6Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tests::programs::{tattler, tool};
use tests::sensor::{Sensor, WAN0, command, exists, fails};
use tests::traffic::listen;
use tests::world::World;

/// The user `nobody`.
const NOBODY: u32 = 65_534;

fn directory() -> TempDir {
    TempDir::new().expect("make a state directory")
}

/// Checks that a start fails, attaches nothing and leaves no socket.
#[track_caller]
fn fails_to_start(world: &World, state: &Path, arguments: &[&str], words: &[&str]) {
    fails(&mut command(&world.router, state, arguments), 1, words);
    assert_eq!(world.router.attached("wan0"), Default::default());
    assert!(!exists(&state.join("tattler.sock")));
}

#[test]
fn names_that_no_interface_can_have() {
    let (world, state) = (World::new(), directory());
    let long = "x".repeat(100);
    for name in [&long, "no/such", "two words", "", "wan0 ", "line\nbreak"] {
        let shown = name.replace('\n', "\\n");
        let words = ["there is no interface", &shown, "no interface can have that name", "`ip link` lists them"];
        fails_to_start(&world, state.path(), &["--interface", name], &words);
        fails_to_start(&world, state.path(), &["--interface", "wan0", "--interface", name], &words);
    }
}

#[test]
fn an_interface_that_is_named_twice() {
    let (world, state) = (World::new(), directory());
    let twice = ["--interface", "wan0", "--interface", "wan0"];
    fails_to_start(&world, state.path(), &twice, &["wan0", "name each interface once"]);
}

/// The binary where all users can run it, and a state directory of `nobody`.
fn for_nobody() -> (TempDir, std::path::PathBuf, std::path::PathBuf) {
    let place = directory();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let (program, state) = (place.path().join("tattler"), place.path().join("state"));
    fs::copy(tattler(), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    (place, program, state)
}

fn as_nobody(program: &Path) -> Command {
    let mut setpriv = tool("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    setpriv
}

#[test]
fn no_permission_to_load_programs() {
    let world = World::new();
    let (_place, program, state) = for_nobody();
    let mut run = as_nobody(&program);
    run.args(["run", "--interface", "wan0", "--state"]).arg(&state).arg("--socket").arg(state.join("tattler.sock"));
    let words = ["no permission", "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"];
    fails(&mut world.router.command(&run), 1, &words);
    assert!(!exists(&state.join("tattler.sock")));
}

#[test]
fn no_permission_to_ask() {
    let (world, state) = (World::new(), directory());
    let (_place, program, _) = for_nobody();
    fs::set_permissions(state.path(), Permissions::from_mode(0o755)).unwrap();
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let mut ask = as_nobody(&program);
    ask.args(["status", "--socket"]).arg(sensor.socket());
    fails(&mut ask, 1, &[&sensor.socket().display().to_string(), "ask as root or as a member of the group tattler"]);
    sensor.stop();
}

#[test]
fn state_directories_that_can_not_be_used() {
    let (world, place) = (World::new(), directory());
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let shared = place.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    // A damaged database does not prevent a start: see tests/tests/store_damage.rs.
    for state in [&file, &file.join("below"), Path::new("/proc/tattler"), Path::new("/sys"), &shared] {
        let mut run = Command::new(tattler());
        run.args(["run", "--interface", "wan0", "--state"]).arg(state);
        run.arg("--socket").arg(place.path().join("tattler.sock"));
        let said = fails(&mut world.router.command(&run), 1, &[&state.display().to_string()]);
        assert!(said.contains("--state"), "no way out in: {said}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"");

    // Another user's directory.
    let (_place, program, _) = for_nobody();
    let mut run = as_nobody(&program);
    run.args(["run", "--interface", "wan0", "--state", "/root/tattler", "--socket", "/tmp/tattler-nobody.sock"]);
    fails(&mut world.router.command(&run), 1, &["/root/tattler", "permission denied", "--state"]);
}

#[test]
fn a_second_sensor_on_the_same_state_directory() {
    let (world, state) = (World::new(), directory());
    let first = Sensor::start(&world.router, state.path(), &WAN0);
    let path = state.path().display().to_string();
    let words = [&path, "in use by another tattler", "stop it, or name another with --state"];
    fails(&mut command(&world.router, state.path(), &WAN0), 1, &words);

    // Elsewhere, but at the same socket.
    let mut run = Command::new(tattler());
    run.args(["run", "--interface", "wan0", "--listen", "", "--state"]).arg(state.path().join("other"));
    run.arg("--socket").arg(first.socket());
    let socket = first.socket().display().to_string();
    fails(&mut world.router.command(&run), 1, &[&socket, "already running", "--socket"]);
    // And at the same port.
    let other = state.path().join("other");
    fails(&mut command(&world.router, &other, &WAN0), 1, &["[::1]:9646", "in use", "--listen"]);
    // The first sensor still runs.
    assert_eq!(first.status()["uplinks"][0]["interface"], "wan0");
    first.stop();
}

#[test]
fn sockets_in_places_where_they_can_not_be() {
    let (world, place) = (World::new(), directory());
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let long = place.path().join("x".repeat(150));
    for socket in [&file, &file.join("below"), Path::new("/proc/tattler/tattler.sock"), place.path(), &long] {
        let mut run = Command::new(tattler());
        run.args(["run", "--interface", "wan0", "--state"]).arg(place.path().join("state"));
        run.arg("--socket").arg(socket);
        let words = [&socket.display().to_string(), "name another socket with --socket"];
        fails(&mut world.router.command(&run), 1, &words);
    }
    assert!(file.is_file());
    assert_eq!(world.router.attached("wan0"), Default::default());
}

#[test]
fn addresses_that_can_not_be_listened_on() {
    let (world, state) = (World::new(), directory());
    let _taken = listen(&world.router, Ipv6Addr::LOCALHOST, 9_646);
    let way_out = "name another address with --listen, or none with --listen ''";
    fails_to_start(&world, state.path(), &WAN0, &["[::1]:9646", "address already in use", way_out]);
    let elsewhere = ["--interface", "wan0", "--listen", "[2001:db8::99]:9646"];
    fails_to_start(&world, state.path(), &elsewhere, &["[2001:db8::99]:9646", way_out]);
}

#[test]
fn questions_without_a_sensor() {
    let place = directory();
    let (missing, file) = (place.path().join("missing.sock"), place.path().join("file"));
    fs::write(&file, "").unwrap();
    for socket in [&missing, &file] {
        for words in [&["status"][..], &["suspects"], &["explain", "2001:db8::1"]] {
            let mut ask = Command::new(tattler());
            ask.args(words).arg("--socket").arg(socket);
            fails(&mut ask, 1, &[&socket.display().to_string(), "is `tattler run` running?", "--socket"]);
        }
    }
}

#[test]
fn absurd_arguments() {
    for (arguments, words) in [
        (&["run", "--listen", "nonsense"][..], &["nonsense", "--listen", "[::1]:9646"][..]),
        (&["run", "--listen", "[::1]"], &["[::1]", "--listen"]),
        (&["run", "--listen", "[::1]:99999"], &["99999", "--listen"]),
        (&["run", "--home", "300::/200"], &["300::/200", "--home"]),
        (&["run", "--home", "fe80::/64"], &["fe80::/64", "--home", "2000::/3"]),
        (&["run", "--home", "2001:db8::1"], &["2001:db8::1", "--home"]),
        (&["run", "--home", ""], &["--home"]),
        (&["run", "--home", "2000::/4"], &["2000::/4", "--home"]),
        (&["run", "--frobnicate"], &["--frobnicate", "tattler run --help"]),
        (&["run", "--interface"], &["--interface", "tattler run --help"]),
        (&["run", "wan0"], &["wan0", "tattler run --help"]),
        (&["explain"], &["REMOTE", "tattler explain --help"]),
        (&["explain", "nonsense"], &["nonsense", "tattler explain --help"]),
        (&["explain", "192.0.2.1"], &["192.0.2.1", "tattler explain --help"]),
        (&["explain", "2001:db8::/129"], &["2001:db8::/129", "tattler explain --help"]),
        (&["suspects", "--top", "-1"], &["-1"]),
        (&["suspects", "--top", "many"], &["many", "--top"]),
        (&["status", "--format", "xml"], &["xml", "--format", "json"]),
    ] {
        fails(Command::new(tattler()).args(arguments), 2, words);
    }
}
