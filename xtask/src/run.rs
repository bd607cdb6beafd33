//! `cargo xtask run`: runs the sensor on the uplink, or in the lab.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;

use crate::build::Build;
use crate::lab::{self, Replay};
use crate::process::{self, Daemon};
use crate::setup::Group;
use crate::{build, paths, root, setup, signals};

#[derive(Args)]
pub struct Run {
    /// Uplink to watch; may be given more than once [default: that of the IPv6 default route]
    #[arg(long, value_name = "IF", conflicts_with = "lab")]
    interface: Vec<String>,
    /// Run in network namespaces: a home, an internet, harvesters and scanners
    #[arg(long)]
    lab: bool,
    #[command(flatten)]
    replay: Replay,
}

pub fn run(options: &Run) -> Result<()> {
    let verb = if options.lab { "run --lab" } else { "run" };
    root::require(verb, "loads programs into the kernel")?;
    if options.lab {
        setup::setup(&[Group::Build, Group::Run, Group::Lab])?;
        let tattler = binary()?;
        signals::catch()?;
        return lab::run(&options.replay, &tattler);
    }

    setup::setup(&[Group::Build, Group::Run])?;
    let interfaces = match options.interface.as_slice() {
        [] => uplinks()?,
        named => named.to_vec(),
    };
    interfaces.iter().try_for_each(|name| require_interface(name))?;
    let tattler = binary()?;
    signals::catch()?;
    watch(&tattler, &interfaces)
}

/// The tattler binary: TATTLER_BIN if set, as tests do, otherwise a new build.
fn binary() -> Result<PathBuf> {
    match env::var_os("TATTLER_BIN") {
        Some(path) => Ok(path.into()),
        None => build::build(&Build { release: true }),
    }
}

/// Fails if the interface does not exist. Called before the build, which takes minutes.
fn require_interface(name: &str) -> Result<()> {
    let is_there = process::output(paths::command("ip")?.args(["link", "show", "dev", name]));
    is_there.map(drop).map_err(|_| anyhow!("no interface {name} here: `ip link` lists them"))
}

/// The interfaces of the IPv6 default routes.
fn uplinks() -> Result<Vec<String>> {
    let routes = process::output(paths::command("ip")?.args(["-6", "-j", "route", "show", "default"]))?;
    let found = default_interfaces(&routes.stdout)?;
    if found.is_empty() {
        bail!(
            "no IPv6 default route here: name an uplink with --interface IF, or run the lab: `cargo xtask run --lab`"
        );
    }
    Ok(found)
}

/// Parses the output of `ip -6 -j route show default`. Ignores routes that refuse packets (`unreachable`).
fn default_interfaces(json: &[u8]) -> Result<Vec<String>> {
    if json.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let routes: Vec<Value> = serde_json::from_slice(json).context("read `ip -6 -j route`")?;
    let mut names = Vec::new();
    for route in routes.iter().filter(|route| route["type"].is_null() || route["type"] == "unicast") {
        let hops = route["nexthops"].as_array().into_iter().flatten();
        for name in std::iter::once(route).chain(hops).filter_map(|hop| hop["dev"].as_str()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// Runs the sensor until it ends or a signal comes. A signal is passed on to the sensor, which then detaches.
fn watch(tattler: &PathBuf, interfaces: &[String]) -> Result<()> {
    let state = paths::target().join("state");
    let socket = state.join("tattler.sock");
    let mut command = Command::new(tattler);
    command.arg("run").arg("--state").arg(&state).arg("--socket").arg(&socket);
    for interface in interfaces {
        command.arg("--interface").arg(interface);
    }
    eprintln!("watching {}; in another terminal, as root:", interfaces.join(", "));
    eprintln!("    {} suspects --socket {}", tattler.display(), socket.display());
    eprintln!("    {} status --socket {}", tattler.display(), socket.display());

    let mut sensor = Daemon::spawn("tattler", &mut command)?;
    let status = match sensor.wait(signals::stopped)? {
        Some(status) => status,
        None => sensor.stop(Duration::from_secs(30))?,
    };
    // The sensor has printed the reason on standard error.
    if !status.success() {
        bail!("tattler ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::default_interfaces;

    #[test]
    fn uplinks_come_from_usable_default_routes() {
        let json = br#"[{"dst":"default","gateway":"fe80::1","dev":"wan0"},
            {"type":"unreachable","dst":"default","dev":"lo"},
            {"dst":"default","nexthops":[{"gateway":"fe80::2","dev":"wan1"},{"dev":"wan0"}]}]"#;
        assert_eq!(default_interfaces(json).unwrap(), ["wan0", "wan1"]);
        assert!(default_interfaces(b"[ ]").unwrap().is_empty());
        assert!(default_interfaces(b"").unwrap().is_empty());
    }
}
