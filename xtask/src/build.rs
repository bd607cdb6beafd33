//! `cargo xtask build`: builds the tattler binary after the necessary set-up.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::{paths, process, setup};

const CARGO_BUILD: [&str; 6] = ["build", "--locked", "--package", "sensor-user", "--bin", "tattler"];

#[derive(Args)]
pub struct Build {
    /// Optimised, as `run` uses it
    #[arg(long)]
    pub release: bool,
}

/// Builds tattler with the record layout of another version, as a second binary. Call `build` for the usual binary
/// afterwards: cargo gives both binaries the same path.
pub fn build_other_layout() -> Result<PathBuf> {
    let mut cargo = paths::cargo();
    cargo.args(CARGO_BUILD).args(["--features", "other-layout"]);
    process::succeed(&mut cargo, "cargo could not build the tattler binary with another layout")?;
    let debug = paths::target().join("debug");
    let other = debug.join("tattler-other-layout");
    fs::copy(debug.join("tattler"), &other).with_context(|| format!("copy to {}", other.display()))?;
    Ok(other)
}

/// Builds the tattler binary and returns its path.
pub fn build(options: &Build) -> Result<PathBuf> {
    setup::setup(&[setup::Group::Build])?;
    let mut cargo = paths::cargo();
    cargo.args(CARGO_BUILD).args(options.release.then_some("--release"));
    process::succeed(&mut cargo, "cargo could not build the tattler binary")?;
    let profile = if options.release { "release" } else { "debug" };
    Ok(paths::target().join(profile).join("tattler"))
}
