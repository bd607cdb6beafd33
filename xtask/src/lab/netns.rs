//! Network namespaces that are deleted when their guard is dropped, and with them their devices.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{paths, process};

use super::leftovers;

/// Where `ip netns` keeps names.
pub const NAMES: &str = "/run/netns";

pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace. Its name contains our process id, so that two labs can run at once.
    pub fn new(label: &str) -> Result<Self> {
        let name = format!("{}{label}", leftovers::prefix());
        process::output(paths::command("ip")?.args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.configure(&["link set lo up"])?;
        Ok(namespace)
    }

    /// A handle for actors inside; it does not keep the namespace alive.
    pub fn inside(&self) -> Inside {
        Inside { name: self.name.clone() }
    }

    pub fn command(&self, program: &str) -> Result<Command> {
        self.inside().command(program)
    }

    /// Runs lines of `ip` inside.
    pub fn configure(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        let text: String = lines.iter().map(|line| line.as_ref().to_owned() + "\n").collect();
        process::output_with(paths::command("ip")?.args(["-n", &self.name, "-batch", "-"]), &text)?;
        Ok(())
    }

    /// Sets kernel parameters of this namespace.
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        process::output(self.command("sysctl")?.args(["-q", "-w"]).args(settings))?;
        Ok(())
    }

    /// A veth between `name` here and `peer_name` in `peer`.
    pub fn link(&self, name: &str, peer: &Namespace, peer_name: &str) -> Result<()> {
        let peer = &peer.name;
        self.configure(&[format!("link add {name} type veth peer name {peer_name} netns {peer}")])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// A place to run programs in.
#[derive(Clone)]
pub struct Inside {
    name: String,
}

impl Inside {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The beginning of a command line that runs a program inside. `ip netns exec` would mount a new /sys,
    /// without the BPF file system.
    pub fn enter(&self) -> String {
        format!("nsenter --net={NAMES}/{}", self.name)
    }

    pub fn command(&self, program: &str) -> Result<Command> {
        self.command_at(&paths::require(program)?)
    }

    pub fn command_at(&self, program: &Path) -> Result<Command> {
        let mut command = paths::command("nsenter")?;
        command.arg(format!("--net={NAMES}/{}", self.name)).arg(program);
        Ok(command)
    }
}

/// Deletes a namespace, or prints a warning: no caller could handle the failure.
pub fn delete(name: &str) {
    let deleted = paths::command("ip").and_then(|mut ip| process::output(ip.args(["netns", "delete", name])));
    // Another lab may have deleted a leftover at the same time.
    if let Err(error) = deleted
        && Path::new(NAMES).join(name).exists()
    {
        eprintln!("warning: namespace {name} was not deleted: {error:#}");
    }
}
