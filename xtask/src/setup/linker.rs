//! bpf-linker. It must be built for the same LLVM as the compiler whose bitcode it reads. It is installed in the tools
//! directory, where the build script of sensor-user looks.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{paths, process};

use super::compiler::Compiler;

pub const VERSION: &str = "0.13.0";

/// The LLVM versions for which this bpf-linker can be built.
const FITS: std::ops::RangeInclusive<u32> = 21..=23;

/// Whether the right bpf-linker is installed and starts. A bpf-linker that the user names is not checked.
pub fn is_there_for(compiler: &Compiler) -> bool {
    if env::var_os("TATTLER_BPF_LINKER").is_some_and(|path| PathBuf::from(path).is_file()) {
        return true;
    }
    let is_built = compiler.llvm().and_then(|llvm| is_recorded(&format!("llvm-{llvm}"))).unwrap_or(false);
    // The program may fail to start: LLVM is a shared library, which may have been removed from the system.
    is_built && process::output(Command::new(paths::tools().join("bin/bpf-linker")).arg("--version")).is_ok()
}

/// Whether the installed bpf-linker was built with this feature. `cargo install` records the features of each program.
fn is_recorded(feature: &str) -> Option<bool> {
    let record = fs::read(paths::tools().join(".crates2.json")).ok()?;
    let record: Value = serde_json::from_slice(&record).ok()?;
    let wanted = format!("bpf-linker {VERSION} ");
    let (_, install) = record["installs"].as_object()?.iter().find(|(name, _)| name.starts_with(&wanted))?;
    let features = install["features"].as_array()?;
    Some(features.iter().any(|known| known == feature))
}

/// Debian's directory of this LLVM version.
pub fn llvm_dir(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

/// The command that `install` runs, as text for people to type.
pub fn command_line(llvm: u32) -> String {
    format!("LLVM_PREFIX=(where LLVM {llvm} is) cargo {} --root {}", arguments(llvm), paths::tools().display())
}

fn arguments(llvm: u32) -> String {
    format!("install bpf-linker --version {VERSION} --locked --no-default-features --features llvm-{llvm} --force")
}

pub fn install(llvm: u32) -> Result<()> {
    if !FITS.contains(&llvm) {
        bail!(
            "bpf-linker {VERSION} does not support LLVM {llvm}, which this rustc uses: \
             build a matching bpf-linker and name it in TATTLER_BPF_LINKER"
        );
    }
    eprintln!("building bpf-linker {VERSION} for LLVM {llvm}, once; it takes some minutes");
    let mut cargo = paths::cargo();
    cargo.args(arguments(llvm).split(' ')).arg("--root").arg(paths::tools()).env("LLVM_PREFIX", llvm_dir(llvm));
    // The cargo that started xtask may have locked the workspace's target directory.
    cargo.env_remove("CARGO_TARGET_DIR").stdin(Stdio::null()).stdout(Stdio::null());
    process::succeed(&mut cargo, &format!("cargo could not build bpf-linker {VERSION} for LLVM {llvm}"))
}
