//! Network namespaces. Dropping the guard of a namespace deletes the namespace with its devices.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{paths, process};

use super::leftovers;

/// The directory where `ip netns` keeps the names of namespaces.
pub const NAMES: &str = "/run/netns";

pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace. Its name contains our process id, so that two labs can run at once.
    pub fn new(label: &str) -> Result<Self> {
        let name = format!("{}{label}", leftovers::prefix());
        process::output(paths::command("ip")?.args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.configure(&["link set lo up"])?;
        Ok(namespace)
    }

    /// A handle with which actors run programs in the namespace. The handle does not keep the namespace alive.
    pub fn inside(&self) -> Inside {
        Inside { name: self.name.clone() }
    }

    pub fn command(&self, program: &str) -> Result<Command> {
        self.inside().command(program)
    }

    /// Runs `ip` in the namespace, once for each line.
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

    /// Makes a veth between device `name` of this namespace and device `peer_name` of namespace `peer`.
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

/// A namespace to run programs in.
#[derive(Clone)]
pub struct Inside {
    name: String,
}

impl Inside {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The beginning of a command line that runs a program in the namespace. `ip netns exec` would mount a new /sys,
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

/// Deletes a namespace. A failure only prints a warning: no caller could handle it.
pub fn delete(name: &str) {
    let deleted = paths::command("ip").and_then(|mut ip| process::output(ip.args(["netns", "delete", name])));
    // Another lab may have deleted the same leftover at the same time.
    if let Err(error) = deleted
        && Path::new(NAMES).join(name).exists()
    {
        eprintln!("warning: namespace {name} was not deleted: {error:#}");
    }
}
