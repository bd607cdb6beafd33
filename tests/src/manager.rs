//! A service manager for a test: systemd as the first process of a container, in a network namespace of the test. It
//! does not start the machine's units or see its state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::namespace::Namespace;
use crate::programs::{Bounded, end_within, succeed, tool};
use crate::within;

/// The test's directory in the container.
pub const HERE: &str = "/run/test";

/// Makes the container and becomes its service manager. $1 is a directory of the test: the manager knows only the
/// units in `units`; `cgroup` contains the name of the control group of all processes. The machine's files are
/// read-only in the container, since systemd would clean them up. Writes go to the test's directory or to memory.
const CONTAIN: &str = r#"
set -e
mkdir -p "$1/control" && mount -t cgroup2 cgroup2 "$1/control"
mkdir "$1/control/$(cat "$1/cgroup")"
echo 0 > "$1/control/$(cat "$1/cgroup")/cgroup.procs"
exec unshare --cgroup --pid --uts --ipc --fork --kill-child sh -e -c '
    umount "$1/control"
    mount -t proc proc /proc
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/system /run/test
    mount --bind "$1" /run/test
    cut -d" " -f2 /proc/self/mounts | grep -vE "^/(proc|sys|run|dev)(/|$)" | while read -r at; do
        mount -o remount,bind,ro "$at"
    done
    mount -o remount,bind,ro /dev
    for memory in /tmp /var/tmp /var/lib /var/log; do mount -t tmpfs tmpfs "$memory"; done
    touch /run/test/contained
    export container=test SYSTEMD_UNIT_PATH=/run/test/units
    exec /lib/systemd/systemd --system --unit=test.target --show-status=no
' sh "$1"
"#;

/// Units that the others depend on. They do nothing here.
const TARGETS: [&str; 6] =
    ["test.target", "sysinit.target", "basic.target", "shutdown.target", "network-online.target", "multi-user.target"];

/// Removes the control groups that the manager made, once its processes have ended.
const CLEAN: &str = r#"
mount -t cgroup2 cgroup2 "$1/control" || exit 0
for try in 1 2 3 4 5 6 7 8 9 10; do
    find "$1/control/$(cat "$1/cgroup")" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
done
"#;

/// A running service manager. Dropping it ends it and all its processes.
pub struct Manager {
    child: Child,
    directory: PathBuf,
    manager: u32,
}

impl Manager {
    /// Starts one in a network namespace, with these units and drop-ins: file and text. `directory` is for its use.
    #[track_caller]
    pub fn start(namespace: &Namespace, directory: &Path, units: &[(&str, String)]) -> Manager {
        let name = format!("{}-{}", namespace.name(), std::process::id());
        fs::write(directory.join("cgroup"), &name).expect("name a control group");
        let targets = TARGETS.map(|name| (name, "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n".to_owned()));
        for (path, text) in units.iter().chain(&targets) {
            let path = directory.join("units").join(path);
            fs::create_dir_all(path.parent().expect("below units")).expect("a directory for units");
            fs::write(path, text).expect("write a unit");
        }
        let mut contain = tool("unshare");
        contain.args(["--mount", "--propagation", "private", "sh", "-c", CONTAIN, "sh"]).arg(directory);
        let log = fs::File::create(directory.join("manager.log")).expect("a file for what it says");
        let both = log.try_clone().expect("a second handle of a file");
        let child = namespace.command(&contain).stdin(Stdio::null()).stdout(log).stderr(both).spawn();
        let mut manager = Manager { child: child.expect("run unshare"), directory: directory.to_owned(), manager: 0 };
        manager.manager = within(20, "systemd is the first process of its container", || manager.find());
        within(20, "systemd answers", || {
            let said = manager.control(&["is-system-running"]).finish();
            said.is_ok_and(|said| said.stdout.starts_with(b"running")).then_some(())
        });
        manager
    }

    /// Looks for systemd among the descendants of the child.
    fn find(&self) -> Option<u32> {
        let mut process = self.child.id();
        loop {
            if fs::read(format!("/proc/{process}/cmdline")).ok()?.starts_with(b"/lib/systemd/systemd\0") {
                return Some(process);
            }
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
            process = children.split_whitespace().next()?.parse().ok()?;
        }
    }

    /// `systemctl` with these words.
    pub fn control(&self, words: &[&str]) -> Command {
        let mut command = tool("nsenter");
        command
            .args(["--mount", "--pid", "--target", &self.manager.to_string(), "systemctl", "--no-pager"])
            .args(words);
        command
    }

    /// Runs `systemctl` with these words, which must succeed.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> String {
        succeed(&mut self.control(words)).trim().to_owned()
    }

    /// A property of a unit, as `systemctl show` has it.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.ask(&["show", "--value", "--property", name, unit])
    }

    /// A path of the container as seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.manager))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // When the first process of the container ends, the kernel kills all others.
        if self.manager != 0 {
            // SAFETY: kill touches no memory; the process is our child's child and not reaped before it.
            unsafe { libc::kill(self.manager as libc::pid_t, libc::SIGKILL) };
        }
        end_within(&mut self.child, Duration::ZERO);
        let mut clean = tool("unshare");
        clean.args(["--mount", "--propagation", "private", "sh", "-c", CLEAN, "sh"]).arg(&self.directory);
        let _ = clean.finish();
        if std::thread::panicking() {
            eprintln!("systemd said:\n{}", fs::read_to_string(self.directory.join("manager.log")).unwrap_or_default());
        }
    }
}
