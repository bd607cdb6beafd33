//! bpf-linker, built for the LLVM of the compiler whose bitcode it reads, in the tools folder of
//! the target directory: sensor-user's build looks there by itself.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths;

use super::compiler::Compiler;

pub const VERSION: &str = "0.13.0";

/// The LLVM versions that this bpf-linker can be built for.
const FITS: std::ops::RangeInclusive<u32> = 21..=23;

/// Whether the right bpf-linker is in place and starts. One that the user names is not questioned.
pub fn is_there_for(compiler: &Compiler) -> bool {
    if env::var_os("TATTLER_BPF_LINKER").is_some_and(|path| PathBuf::from(path).is_file()) {
        return true;
    }
    compiler.llvm().and_then(|llvm| is_recorded(&format!("llvm-{llvm}"))).unwrap_or(false) && starts()
}

/// cargo install records the features of what it built.
fn is_recorded(feature: &str) -> Option<bool> {
    let record = fs::read(paths::tools().join(".crates2.json")).ok()?;
    let record: Value = serde_json::from_slice(&record).ok()?;
    let wanted = format!("bpf-linker {VERSION} ");
    let (_, install) = record["installs"].as_object()?.iter().find(|(name, _)| name.starts_with(&wanted))?;
    let features = install["features"].as_array()?;
    Some(features.iter().any(|known| known == feature))
}

/// Its LLVM is a shared library, which the system may have removed since.
fn starts() -> bool {
    Command::new(paths::tools().join("bin/bpf-linker"))
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where Debian keeps this LLVM.
pub fn llvm_dir(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

/// The command that `install` runs, for people to type.
pub fn command_line(llvm: u32) -> String {
    let (arguments, root) = (arguments(llvm).join(" "), paths::tools());
    format!("LLVM_PREFIX=(where LLVM {llvm} is) cargo {arguments} --root {}", root.display())
}

fn arguments(llvm: u32) -> Vec<String> {
    let feature = format!("llvm-{llvm}");
    [
        "install",
        "bpf-linker",
        "--version",
        VERSION,
        "--locked",
        "--no-default-features",
        "--features",
        &feature,
        "--force",
    ]
    .map(str::to_owned)
    .to_vec()
}

pub fn install(llvm: u32) -> Result<()> {
    if !FITS.contains(&llvm) {
        bail!(
            "bpf-linker {VERSION} knows no LLVM {llvm}, which this rustc uses: \
             build a fitting bpf-linker and name it in TATTLER_BPF_LINKER"
        );
    }
    eprintln!("building bpf-linker {VERSION} for LLVM {llvm}, once; it takes some minutes");
    let status = paths::cargo()
        .args(arguments(llvm))
        .arg("--root")
        .arg(paths::tools())
        .env("LLVM_PREFIX", llvm_dir(llvm))
        // Not into the workspace's target directory: that one may be locked by the cargo above us.
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("run cargo install")?;
    if !status.success() {
        bail!("cargo could not build bpf-linker {VERSION} for LLVM {llvm}");
    }
    Ok(())
}
