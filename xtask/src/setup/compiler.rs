//! The rustc that compiles the kernel programs: it needs its library's sources, to build `core`
//! for the kernel's target.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Debian's rustc of the browser's build, with its sources; both come from one source package.
pub const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

pub struct Compiler {
    /// The major version of its LLVM, which bpf-linker's must fit.
    pub llvm: u32,
}

impl Compiler {
    /// rustup's nightly if it has its sources, else Debian's; in the order of sensor-user's build.
    pub fn find() -> Result<Option<Self>> {
        let Some(rustc) = nightly().or_else(debian) else {
            return Ok(None);
        };
        let version = process::output(Command::new(&rustc).arg("-vV"))?;
        let version = String::from_utf8_lossy(&version.stdout);
        let llvm =
            llvm_major(&version).with_context(|| format!("{} does not name its LLVM version", rustc.display()))?;
        Ok(Some(Self { llvm }))
    }
}

/// Looked up as a file: asking rustup for a toolchain that is not there may install it.
fn nightly() -> Option<PathBuf> {
    let home = match env::var_os("RUSTUP_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(env::var_os("HOME")?).join(".rustup"),
    };
    let toolchains = fs::read_dir(home.join("toolchains")).ok()?;
    toolchains
        .flatten()
        .filter(|entry| {
            // `nightly-x86_64-…` is the channel; `nightly-2026-01-01-…` is one that somebody pinned.
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.strip_prefix("nightly-").is_some_and(|host| !host.starts_with(|first: char| first.is_ascii_digit()))
        })
        .map(|entry| entry.path())
        .find(|sysroot| has_sources(sysroot))
        .map(|sysroot| sysroot.join("bin/rustc"))
}

fn debian() -> Option<PathBuf> {
    let rustc = Path::new("/usr/bin/rustc");
    (rustc.is_file() && has_sources(Path::new("/usr"))).then(|| rustc.to_owned())
}

fn has_sources(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
}

fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::llvm_major;

    #[test]
    fn llvm_is_read_from_rustc() {
        assert_eq!(llvm_major("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
