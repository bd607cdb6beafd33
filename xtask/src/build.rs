//! `cargo xtask build`: the tattler binary, after the set-up it needs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{paths, setup};

#[derive(Args)]
pub struct Build {
    /// Optimised, as `run` uses it
    #[arg(long)]
    pub release: bool,
}

/// Builds tattler with the record layout of another version, as a second binary. The usual one
/// must be built after it: cargo gives both the same path.
pub fn build_other_layout() -> Result<PathBuf> {
    let mut cargo = paths::cargo();
    let status = cargo
        .args(["build", "--locked", "--package", "sensor-user", "--bin", "tattler", "--features", "other-layout"])
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("cargo could not build the tattler binary with another layout");
    }
    let debug = paths::target().join("debug");
    let other = debug.join("tattler-other-layout");
    fs::copy(debug.join("tattler"), &other).with_context(|| format!("copy to {}", other.display()))?;
    Ok(other)
}

/// Builds and gives the path of the binary.
pub fn build(options: &Build) -> Result<PathBuf> {
    setup::setup(&[setup::Group::Build])?;
    let mut cargo = paths::cargo();
    cargo.args(["build", "--locked", "--package", "sensor-user", "--bin", "tattler"]);
    if options.release {
        cargo.arg("--release");
    }
    let status = cargo.status().context("run cargo")?;
    if !status.success() {
        bail!("cargo could not build the tattler binary");
    }
    let profile = if options.release { "release" } else { "debug" };
    Ok(paths::target().join(profile).join("tattler"))
}
