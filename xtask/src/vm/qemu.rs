//! QEMU: the system's, or one that is unpacked below the target directory.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt::Apt;
use crate::{paths, process};

const PROGRAM: &str = "qemu-system-x86_64";
/// The emulator and its firmware.
const PACKAGES: &[&str] = &["qemu-system-x86", "seabios"];

/// An emulator that starts.
pub struct Qemu {
    program: PathBuf,
    /// The directory where it is unpacked, if it is not the system's.
    root: Option<PathBuf>,
}

impl Qemu {
    /// Finds QEMU or unpacks it. It is not installed: apt might have to remove parts of another QEMU for it.
    pub fn find(apt: &Apt, cache: &Path) -> Result<Qemu> {
        if let Some(program) = paths::find(PROGRAM) {
            return Ok(Qemu { program, root: None });
        }
        let root = cache.join("qemu");
        let qemu = Qemu { program: root.join("usr/bin").join(PROGRAM), root: Some(root.clone()) };
        let starts = |qemu: &Qemu| process::output(qemu.command().arg("--version"));
        if starts(&qemu).is_err() {
            eprintln!("fetching {}", PACKAGES.join(" "));
            let packages = apt.with_dependencies(PACKAGES)?;
            apt.unpack(&packages, &root)?;
            starts(&qemu).context("start the unpacked QEMU")?;
        }
        Ok(qemu)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            let libraries = super::library_dirs(root);
            command.env("LD_LIBRARY_PATH", env::join_paths(libraries).unwrap_or_default());
            for data in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(root.join(data));
            }
        }
        command
    }
}
