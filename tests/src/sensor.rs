//! `tattler run`, and queries to it.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use sensor_user::datapath::pins_of;
use serde_json::Value;

use crate::eventually;
use crate::namespace::Namespace;
use crate::programs::{Bounded, end_within, succeed, tattler};

/// The default address of its metrics; each namespace has its own.
pub const LISTEN: &str = "[::1]:9646";

/// The arguments of a sensor on the router's uplink.
pub const WAN0: [&str; 2] = ["--interface", "wan0"];

const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// A running sensor. Dropping it kills it and removes its pins. A sensor that has ended leaves them to the next
/// start, or to [`Pins`].
pub struct Sensor<'n> {
    child: Child,
    namespace: &'n Namespace,
    state: PathBuf,
    log: Arc<Mutex<String>>,
}

/// `tattler run` with its state and its socket in `state`, to be run in `namespace`.
pub fn command(namespace: &Namespace, state: &Path, arguments: &[&str]) -> Command {
    command_of(&tattler(), namespace, state, arguments)
}

/// The same for another binary. Panics without a BPF file system: without pins most tests fail.
pub fn command_of(binary: &Path, namespace: &Namespace, state: &Path, arguments: &[&str]) -> Command {
    assert!(
        has_bpffs(&fs::read_to_string("/proc/self/mounts").unwrap_or_default()),
        "no BPF file system at /sys/fs/bpf: `cargo xtask test` mounts one, which only the tests see"
    );
    let mut run = Command::new(binary);
    run.arg("run").arg("--state").arg(state).arg("--socket").arg(socket(state)).args(arguments);
    let mut command = namespace.command(&run);
    command.env("RUST_BACKTRACE", "1").env_remove("RUST_LOG");
    command
}

fn has_bpffs(mounts: &str) -> bool {
    mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq(["/sys/fs/bpf", "bpf"]))
}

fn socket(state: &Path) -> PathBuf {
    state.join("tattler.sock")
}

impl<'n> Sensor<'n> {
    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(namespace: &'n Namespace, state: &Path, arguments: &[&str]) -> Sensor<'n> {
        Sensor::started(command(namespace, state, arguments), namespace, state)
    }

    /// Starts it by this command and waits until it is ready.
    #[track_caller]
    pub fn started(mut command: Command, namespace: &'n Namespace, state: &Path) -> Sensor<'n> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("start tattler");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let copy = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *copy.lock().unwrap() += &(line + "\n");
            }
        });
        let mut sensor = Sensor { child, namespace, state: state.to_owned(), log };
        eventually("the sensor is ready or has ended", || {
            let ended = sensor.child.try_wait().expect("wait for tattler").is_some();
            (ended || sensor.log().lines().any(|line| line.ends_with(" ready"))).then_some(())
        });
        assert!(sensor.child.try_wait().is_ok_and(|ended| ended.is_none()), "tattler ended: {}", sensor.log());
        sensor
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Stops it as a service manager does. It must exit with status 0 and without a panic.
    #[track_caller]
    pub fn stop(mut self) {
        let status = self.end(libc::SIGTERM);
        assert_eq!(status.code(), Some(0), "{status}: {}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill touches no memory; the child is not reaped yet, so the process id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// Sends a signal and waits until it has ended.
    #[track_caller]
    pub fn end(&mut self, signal: i32) -> ExitStatus {
        self.signal(signal);
        let ended = end_within(&mut self.child, STOPS_WITHIN);
        ended.unwrap_or_else(|| panic!("signal {signal} does not end it: {}", self.log()))
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        socket(&self.state)
    }

    /// The answer to `status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.ask(&["status"])
    }

    /// The answer to `suspects`.
    #[track_caller]
    pub fn suspects(&self) -> Value {
        self.ask(&["suspects"])
    }

    /// The rows of a query's answer.
    #[track_caller]
    pub fn rows(&self, words: &[&str]) -> Vec<Value> {
        self.ask(words)["rows"].as_array().expect("rows").clone()
    }

    /// The answer to `explain`.
    #[track_caller]
    pub fn explain(&self, remote: impl Display) -> Value {
        self.ask(&["explain", &remote.to_string()])
    }

    #[track_caller]
    fn ask(&self, words: &[&str]) -> Value {
        let printed =
            succeed(Command::new(tattler()).args(words).args(["--format", "json", "--socket"]).arg(self.socket()));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{words:?}: {error}: {printed}"))
    }

    /// The counters of contacts, probes or answers: matched, recorded, held back, lost. Checks their sum.
    #[track_caller]
    pub fn fates(&self, what: &str) -> [u64; 4] {
        let status = self.status();
        let events = status["events"].as_array().expect("events").iter().find(|events| events["what"] == what);
        let fates =
            ["matched", "recorded", "held_back", "lost"].map(|fate| events.expect(what)[fate].as_u64().unwrap());
        assert_eq!(fates[0], fates[1] + fates[2] + fates[3], "{what}");
        fates
    }

    /// Waits until this many observations are in the store.
    #[track_caller]
    pub fn wait_stored(&self, count: u64) {
        eventually("it is stored", || (self.status()["stored"].as_u64() >= Some(count)).then_some(()));
    }

    /// Waits until its counters show this many recorded events.
    #[track_caller]
    pub fn wait_for(&self, what: &str, recorded: u64) {
        eventually(&format!("{recorded} {what}s; {}", self.status()), || {
            (self.fates(what)[1] >= recorded).then_some(())
        });
    }

    /// The sources, kinds and ports of probes that followed a visit of `local` to `remote`.
    #[track_caller]
    pub fn followed(&self, remote: Ipv6Addr, local: Ipv6Addr) -> Vec<(String, String, u64)> {
        let explained = self.explain(remote);
        let visits = explained["visits"].as_array().expect("visits");
        let of_local = visits.iter().filter(|visit| visit["local"] == local.to_string());
        let probes = of_local.flat_map(|visit| visit["probes"].as_array().expect("probes"));
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        probes.map(|probe| (text(&probe["source"]), text(&probe["kind"]), probe["port"].as_u64().unwrap())).collect()
    }

    /// Gets a page from its HTTP listener: status and body.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut answer = String::new();
        self.namespace
            .inside(|| {
                let mut stream = TcpStream::connect(LISTEN)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                write!(stream, "GET {path} HTTP/1.1\r\nHost: {LISTEN}\r\nConnection: close\r\n\r\n")?;
                stream.read_to_string(&mut answer)
            })
            .unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "the body is in pieces:\n{head}");
        (head.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a status"), body.to_owned())
    }

    /// A metric's value, by its name with labels.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.metrics();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().expect("a number")
    }

    /// The metrics page.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let (status, page) = self.get("/metrics");
        assert_eq!(status, 200, "{page}");
        page
    }
}

/// The pins of a state directory's sensors. Dropping it removes them.
pub struct Pins(PathBuf);

impl Pins {
    /// The pins of a state directory, whose sensors must be dropped first.
    pub fn of(state: &Path) -> Pins {
        Pins(pins_of(state))
    }

    /// Their directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Sensor<'_> {
    fn drop(&mut self) {
        let runs = matches!(self.child.try_wait(), Ok(None));
        end_within(&mut self.child, Duration::ZERO);
        if runs {
            drop(Pins::of(&self.state));
        }
        if thread::panicking() {
            eprintln!("tattler said:\n{}", self.log());
        }
    }
}

/// Runs a command that must fail with this exit status, and print only one line, on standard error, that contains
/// all of `words`.
#[track_caller]
pub fn fails(command: &mut Command, status: i32, words: &[&str]) -> String {
    command.env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    let output = command.finish().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8(output.stderr).expect("messages in UTF-8");
    println!("{}", said.trim_end());
    assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
    assert!(output.stdout.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(said.contains(word), "{command:?}: no {word:?} in: {said}");
    }
    for never in ["panicked", "backtrace", "os error", "Os {"] {
        assert!(!said.contains(never), "{command:?}: {said}");
    }
    assert_eq!(output.status.signal(), None, "{command:?}: {}", output.status);
    assert_eq!(output.status.code(), Some(status), "{command:?}: {said}");
    said
}

/// Whether a path exists, of any type.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
