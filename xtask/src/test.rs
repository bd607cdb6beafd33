//! `cargo xtask test`: the tests of the workspace, with the programs and the rights they need.

use std::env;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::Build;
use crate::{build, paths, root, setup};

#[derive(Args)]
pub struct Test {
    /// A package, a file of tests/, or a part of tests' names; all tests if left out
    name: Option<String>,
    /// Long runs as well, whose figures stand in docs
    #[arg(long)]
    all: bool,
    /// Arguments for the test programs, such as `-- --nocapture`
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn test(options: &Test) -> Result<()> {
    root::require("test", "loads kernel programs and makes network namespaces")?;
    // Before cargo builds this very program anew and the path is that of a deleted file.
    let xtask = env::current_exe().context("find this program")?;
    setup::setup(&[setup::Group::Build, setup::Group::Lab])?;
    let upgrades = options.name.as_deref().is_none_or(|name| name == "tests" || name.contains("upgrade"));
    let other = if upgrades { Some(build::build_other_layout()?) } else { None };
    let tattler = build::build(&Build { release: false })?;

    let mut cargo = paths::cargo();
    // All that fails is worth knowing at once.
    cargo.args(["test", "--no-fail-fast", "--config"]).arg(runner()?);
    if let Some(name) = &options.name {
        select(&mut cargo, name);
    }
    cargo.arg("--").args(&options.arguments);
    if options.all {
        // Measurements are marked so, and are no tests that could be skipped.
        cargo.arg("--include-ignored");
    }
    cargo.env("TATTLER_BIN", tattler).env("XTASK_BIN", xtask).envs(other.map(|other| ("TATTLER_OTHER_BIN", other)));
    if options.all {
        cargo.env("TATTLER_LONG", "1");
    }
    let status = cargo.status().context("run cargo")?;
    if !status.success() {
        bail!("tests failed");
    }
    Ok(())
}

/// Tests find the tools that set-up unpacked. By a runner, since another PATH for cargo itself
/// would compile the kernel programs anew.
fn runner() -> Result<String> {
    let path = env::join_paths(paths::search_path()).context("put PATH together")?;
    Ok(format!("target.'cfg(unix)'.runner = ['env', 'PATH={}']", path.display()))
}

/// A package or a file of tests is built alone; anything else filters by the tests' names.
fn select(cargo: &mut std::process::Command, name: &str) {
    let root = paths::workspace();
    let is_plain = !name.contains(['/', '.']);
    if is_plain && root.join(name).join("Cargo.toml").is_file() {
        cargo.args(["--package", name]);
    } else if is_plain && root.join("tests").join(format!("{name}.rs")).is_file() {
        cargo.args(["--package", "tests", "--test", name]);
    } else {
        cargo.arg(name);
    }
}
