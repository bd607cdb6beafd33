//! `cargo xtask accuracy`: measures the accuracy of attribution on simulated homes.

use std::env;

use anyhow::{Context, Result};
use clap::Args;

use crate::{paths, process};

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
    // A debug build would take hours for thousands of networks. Cargo prints its progress, since the first build takes
    // minutes.
    cargo.args(["run", "--locked", "--release", "--package", "accuracy", "--manifest-path"]);
    cargo.arg(paths::workspace().join("Cargo.toml")).arg("--").args(&options.arguments);
    // The path of the file is relative to the user's directory.
    cargo.current_dir(env::current_dir().context("find the current directory")?);
    process::succeed(&mut cargo, "the measurement failed")
}
