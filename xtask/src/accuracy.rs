//! `cargo xtask accuracy`: the accuracy of attribution on simulated homes.

use std::env;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::paths;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Accuracy {
    /// Arguments of the measurement: --json FILE, --family NAME, --size N, --seeds N, --first-seed N,
    /// --jobs N, --list
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn accuracy(options: &Accuracy) -> Result<()> {
    let mut cargo = paths::cargo();
    // Thousands of networks: a debug build would take hours.
    // Not quiet: to build it takes minutes the first time, which is not to look like a standstill.
    cargo.args(["run", "--locked", "--release", "--package", "accuracy", "--manifest-path"]);
    cargo.arg(paths::workspace().join("Cargo.toml")).arg("--").args(&options.arguments);
    // The file is meant from where the user stands.
    cargo.current_dir(env::current_dir().context("find the current directory")?);
    let status = cargo.status().context("run cargo")?;
    if !status.success() {
        bail!("the measurement failed");
    }
    Ok(())
}
