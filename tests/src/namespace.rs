//! A network namespace that is deleted with its guard.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use aya::programs::{SchedClassifier, TcAttachType};

use crate::programs::{Bounded, succeed, tool};

/// How names of test namespaces begin; the process id and a number follow.
pub const STEM: &str = "tattler-test-";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace. Dropping it deletes it, and with it its devices.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace. Its addresses can be used at once, without a search for duplicates, which cannot
    /// exist.
    #[must_use]
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
    #[must_use]
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

    /// The hardware address of a device.
    #[must_use]
    pub fn mac(&self, device: &str) -> [u8; 6] {
        let shown: serde_json::Value =
            serde_json::from_str(&self.ip(&format!("-j link show dev {device}"))).expect("JSON");
        let text = shown[0]["address"].as_str().expect("an address");
        let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
        bytes.collect::<Vec<_>>().try_into().expect("six bytes")
    }

    /// A veth between `name` here and `peer_name` in `peer`, both up.
    pub fn link(&self, name: &str, peer: &Namespace, peer_name: &str) {
        self.ip(&format!("link add {name} type veth peer name {peer_name} netns {}", peer.name));
        self.ip(&format!("link set {name} up"));
        peer.ip(&format!("link set {peer_name} up"));
    }

    /// Runs a program inside. Not by `ip netns exec`, which mounts a /sys without bpffs.
    #[must_use]
    pub fn command(&self, program: &Command) -> Command {
        let mut command = tool("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program.get_program()).args(program.get_args());
        command
    }

    /// Runs a tool inside.
    #[must_use]
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

    /// The programs attached to a device: the XDP mode (`xdp`, `xdpgeneric`, or empty for none), and the
    /// names of the programs at egress, in order.
    #[must_use]
    pub fn attached(&self, device: &str) -> (String, Vec<String>) {
        let shown = self.ip(&format!("-d link show dev {device}"));
        let mode = shown.split_whitespace().find(|word| word.starts_with("xdp")).unwrap_or_default();
        let (_, programs) =
            self.inside(|| SchedClassifier::query_tcx(device, TcAttachType::Egress)).unwrap_or_else(|error| {
                panic!("ask for the programs at egress of {device}, with Linux 6.6 or later: {error}")
            });
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
