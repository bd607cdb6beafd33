//! A network namespace that is deleted with its guard.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use aya::programs::{SchedClassifier, TcAttachType};
use sensor_common::names;
use serde_json::Value;

use crate::programs::{Bounded, succeed, tool};

/// How names of test namespaces begin; the process id and a number follow.
pub const STEM: &str = "tattler-test-";

/// The programs attached to a device: see [`Namespace::attached`].
pub type Attached = (String, Vec<String>);

/// What is attached where a sensor alone runs, with XDP in this mode.
pub fn watched(mode: &str) -> Attached {
    (mode.to_owned(), vec![names::EGRESS.to_owned()])
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace. Dropping it deletes it, and with it its devices.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace. Its addresses can be used at once, without a search for duplicates.
    pub fn new(label: &str) -> Namespace {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{STEM}{}-{number}-{label}", std::process::id());
        succeed(tool("ip").args(["netns", "add", &name]));
        let namespace = Namespace { name };
        namespace.set("ipv6/conf/default/disable_ipv6", "0");
        namespace.set("ipv6/conf/default/accept_dad", "0");
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` with these words inside and returns its output.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        succeed(tool("ip").args(["-n", &self.name]).args(words.split_whitespace()))
    }

    /// Writes a kernel parameter, named as below /proc/sys/net.
    pub fn set(&self, parameter: &str, value: &str) {
        let path = PathBuf::from("/proc/sys/net").join(parameter);
        self.inside(|| fs::write(&path, value)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The first object of `ip -j` with these words.
    #[track_caller]
    pub fn shown(&self, words: &str) -> Value {
        let shown: Value = serde_json::from_str(&self.ip(&format!("-j {words}"))).expect("JSON");
        shown[0].clone()
    }

    /// The interface index of a device.
    #[track_caller]
    pub fn index(&self, device: &str) -> i32 {
        self.shown(&format!("link show dev {device}"))["ifindex"].as_i64().expect("an index") as i32
    }

    /// The hardware address of a device, as text.
    #[track_caller]
    pub fn mac_text(&self, device: &str) -> String {
        self.shown(&format!("link show dev {device}"))["address"].as_str().expect("an address").to_owned()
    }

    /// The hardware address of a device.
    #[track_caller]
    pub fn mac(&self, device: &str) -> [u8; 6] {
        let text = self.mac_text(device);
        let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
        bytes.collect::<Vec<_>>().try_into().expect("six bytes")
    }

    /// A veth between `name` here and `peer_name` in `peer`, both up.
    pub fn link(&self, name: &str, peer: &Namespace, peer_name: &str) {
        self.ip(&format!("link add {name} type veth peer name {peer_name} netns {}", peer.name));
        self.ip(&format!("link set {name} up"));
        peer.ip(&format!("link set {peer_name} up"));
    }

    /// A command that runs a program inside. `ip netns exec` would mount a /sys without the BPF file system.
    pub fn command(&self, program: &Command) -> Command {
        let mut command = tool("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program.get_program()).args(program.get_args());
        command
    }

    /// A command that runs a tool inside.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        self.command(tool(name).args(arguments))
    }

    /// Runs a closure inside, on a thread of its own. Sockets made there stay there.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let act = || {
            let namespace = File::open(format!("/run/netns/{}", self.name)).expect("the namespace has its name");
            // SAFETY: setns takes a descriptor, which is open, and a number; it moves this thread,
            // which ends with `act`.
            let moved = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(moved, 0, "enter {}, as root: {}", self.name, std::io::Error::last_os_error());
            act()
        };
        let done = thread::scope(|scope| scope.spawn(act).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The programs attached to a device, with Linux 6.6 or later: the XDP mode (`xdp`, `xdpgeneric`, or empty for
    /// none), and the names of the programs at egress, in order.
    pub fn attached(&self, device: &str) -> Attached {
        let shown = self.ip(&format!("-d link show dev {device}"));
        let mode = shown.split_whitespace().find(|word| word.starts_with("xdp")).unwrap_or_default();
        let (_, programs) = self
            .inside(|| SchedClassifier::query_tcx(device, TcAttachType::Egress))
            .unwrap_or_else(|error| panic!("list the programs at egress of {device}: {error}"));
        (mode.to_owned(), programs.iter().map(|program| program.name_as_str().unwrap_or_default().to_owned()).collect())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // No panic: one may be unwinding already.
        if !tool("ip").args(["netns", "delete", &self.name]).finish().is_ok_and(|ended| ended.status.success()) {
            eprintln!("namespace {} was not deleted", self.name);
        }
    }
}
