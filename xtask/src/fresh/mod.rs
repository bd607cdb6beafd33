//! `cargo xtask test --fresh`: both commands of the README in a Debian that has nothing but a Rust toolchain.
//!
//! The packages come from the mirror that the machine uses, the crates from its registry. The new root
//! lies below the target directory and is removed in the end. Its mounts exist in a mount namespace that
//! ends with the commands.

mod debian;

use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::Daemon;
use crate::{paths, root, setup, signals};

/// The commands of the README.
const COMMANDS: [&[&str]; 2] = [&["xtask", "run", "--lab", "--once"], &["xtask", "test"]];

/// Makes $1 the root, with the toolchain $2 at /usr/local/rust, and runs the other arguments there. Not by
/// chroot, which programs that enter mount namespaces would leave.
const ENTER: &str = r#"
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind -o ro "$2" "$root/usr/local/rust"
shift 2
mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount --lazy old
rmdir old
exec "$@"
"#;

/// Variables by which the machine reaches its registries, by their beginnings.
const PASSED_ON: [&str; 9] = [
    "CARGO_BUILD_JOBS",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "SSL_CERT_",
    "TATTLER_PATIENCE",
    "http_proxy",
    "https_proxy",
];

pub fn fresh() -> Result<()> {
    root::require("test --fresh", "makes a Debian of its own")?;
    setup::setup(&[setup::Group::Run, setup::Group::Test, setup::Group::Fresh])?;
    signals::catch()?;
    let debian = debian::Debian::make()?;
    let mut failed = Vec::new();
    for command in COMMANDS {
        let line = format!("cargo {}", command.join(" "));
        eprintln!("fresh: {line}");
        let started = Instant::now();
        let went_through = run(&mut inside(&debian, command)?)?;
        let took = started.elapsed().as_secs();
        let how = if went_through { "went through" } else { "FAILED" };
        failed.extend((!went_through).then(|| line.clone()));
        eprintln!("fresh: `{line}` {how}, {} min {} s", took / 60, took % 60);
    }
    if !failed.is_empty() {
        bail!("on a fresh Debian this failed: {}", failed.join(", "));
    }
    Ok(())
}

fn inside(debian: &debian::Debian, arguments: &[&str]) -> Result<Command> {
    let mut command = contained()?;
    command.args(["--pid", "sh", "-e", "-c", ENTER, "sh"]).arg(debian.root()).arg(debian.toolchain());
    command.args(["env", "--chdir", debian::PROJECT, "cargo"]).args(arguments);
    command.env_clear();
    for (name, value) in env::vars_os() {
        let text = name.to_string_lossy();
        if PASSED_ON.iter().any(|begin| text.starts_with(begin)) {
            command.env(&name, value);
        }
    }
    command.env("HOME", "/root").env("CARGO_HOME", debian::CARGO_HOME);
    command.env("PATH", "/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    Ok(command)
}

/// The beginning of a command whose mounts and processes end with it.
fn contained() -> Result<Command> {
    let mut command = paths::command("unshare")?;
    command.args(["--mount", "--propagation", "private", "--fork", "--kill-child"]);
    Ok(command)
}

/// Runs a command to its end, or until a signal; whether it succeeded.
fn run(command: &mut Command) -> Result<bool> {
    let mut daemon = Daemon::spawn("a command of the fresh Debian", command)?;
    loop {
        if let Some(status) = daemon.exited()? {
            return Ok(status.success());
        }
        if signals::stopped() {
            bail!("interrupted");
        }
        thread::sleep(Duration::from_millis(100));
    }
}
