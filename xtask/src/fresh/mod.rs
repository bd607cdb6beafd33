//! `cargo xtask test --fresh`: runs both commands of the README in a Debian that has nothing but a Rust toolchain.
//!
//! The packages come from the machine's mirror, the crates from its crate registry. The new root is below the target
//! directory and is removed at the end. Its mounts are in a mount namespace that ends with the commands.

mod debian;

use std::env;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::Daemon;
use crate::{paths, root, setup, signals};

/// The two commands of the README.
const COMMANDS: [&[&str]; 2] = [&["xtask", "run", "--lab", "--once"], &["xtask", "test"]];

/// Makes $1 the root, with the toolchain $2 at /usr/local/rust, and runs the other arguments there. chroot is not
/// enough: programs that enter other mount namespaces would leave the new root.
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

/// Environment variables that the machine needs to reach its registries: full names, or the beginnings of names.
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
        let is_ok = run(&mut inside(&debian, command)?)?;
        let took = started.elapsed().as_secs();
        let how = if is_ok { "ok" } else { "FAILED" };
        eprintln!("fresh: `{line}` {how}, {} min {} s", took / 60, took % 60);
        failed.extend((!is_ok).then_some(line));
    }
    if !failed.is_empty() {
        bail!("on a fresh Debian this failed: {}", failed.join(", "));
    }
    Ok(())
}

fn inside(debian: &debian::Debian, arguments: &[&str]) -> Result<Command> {
    let mut command = contained()?;
    command.args(["--pid", "sh", "-e", "-c", ENTER, "sh"]).arg(debian.root()).arg(&debian.toolchain);
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

/// The beginning of a command. Its mounts and processes are removed when the command ends.
fn contained() -> Result<Command> {
    let mut command = paths::command("unshare")?;
    command.args(["--mount", "--propagation", "private", "--fork", "--kill-child"]);
    Ok(command)
}

/// Runs a command until it ends or a signal comes. Returns whether the command succeeded.
fn run(command: &mut Command) -> Result<bool> {
    match Daemon::spawn("a command of the fresh Debian", command)?.wait(signals::stopped)? {
        Some(status) => Ok(status.success()),
        None => bail!("interrupted"),
    }
}
