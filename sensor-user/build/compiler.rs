//! The rustc that compiles the kernel programs, and its pinned version. Used by the build of sensor-user and by
//! `cargo xtask setup`.
//!
//! Whether a kernel's verifier accepts the programs depends on the compiler, so its version is pinned like a crate in
//! Cargo.lock. The compiler must use the same LLVM as bpf-linker, allow unstable features, and have the sources of the
//! standard library, to build `core` for the kernel.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pinned toolchain of rustup, with the component rust-src. It uses LLVM 22, like Debian's rustc. Only Debian's
/// rustc was tested: dated nightlies are not available where this project is built.
pub const NIGHTLY: &str = "nightly-2026-05-20";
/// The pinned version of Debian's package rustc-web.
pub const DEBIAN: &str = "1.96.0";

pub struct Compiler {
    sysroot: PathBuf,
    /// The output of `rustc -vV`.
    version: String,
}

impl Compiler {
    /// Finds the pinned nightly if installed, else the distribution's rustc.
    pub fn find() -> Option<Compiler> {
        let sysroot = nightly().or_else(|| has_sources(Path::new("/usr")).then(|| PathBuf::from("/usr")))?;
        let said = Command::new(sysroot.join("bin/rustc")).arg("-vV").output().ok()?;
        let version = String::from_utf8(said.stdout).ok()?;
        said.status.success().then_some(Compiler { sysroot, version })
    }

    pub fn tool(&self, name: &str) -> PathBuf {
        self.sysroot.join("bin").join(name)
    }

    /// The major version of the compiler's LLVM. bpf-linker must use the same major version.
    pub fn llvm(&self) -> Option<u32> {
        let line = self.version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
        line.split('.').next()?.parse().ok()
    }

    /// The compiler's name and version in one line.
    pub fn name(&self) -> &str {
        self.version.lines().next().unwrap_or("rustc")
    }

    /// The warning if the compiler's version is not the pinned version.
    pub fn warning(&self) -> Option<String> {
        let release = self.version.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or_default();
        if self.sysroot != Path::new("/usr") || release == DEBIAN {
            return None;
        }
        Some(format!(
            "/usr/bin/rustc is {release}, and the kernel programs are tested with {DEBIAN}; if they do not build or load, \
             run `rustup toolchain install {NIGHTLY} --component rust-src`, \
             or name an object from elsewhere in TATTLER_EBPF_OBJECT"
        ))
    }
}

/// Finds the pinned nightly by its files, without calling rustup: rustup may install a missing toolchain.
fn nightly() -> Option<PathBuf> {
    let home = match env::var_os("RUSTUP_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(env::var_os("HOME")?).join(".rustup"),
    };
    let toolchains = fs::read_dir(home.join("toolchains")).ok()?;
    let is_it = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&format!("{NIGHTLY}-"));
    toolchains.flatten().filter(is_it).map(|entry| entry.path()).find(|sysroot| has_sources(sysroot))
}

fn has_sources(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
}
