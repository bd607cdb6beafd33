//! `cargo xtask test`: the tests of the workspace, with the programs and the rights they need.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::Build;
use crate::setup::programs;
use crate::{bpffs, build, fresh, paths, root, setup};

#[derive(Args)]
pub struct Test {
    /// A package, a file of tests/tests/, or a part of tests' names [default: all tests]
    name: Option<String>,
    /// Include long measurements, whose figures stand in docs/
    #[arg(long)]
    all: bool,
    /// Run both commands of the README in a new, bare Debian instead
    #[arg(long, conflicts_with_all = ["name", "all", "arguments"])]
    fresh: bool,
    /// Arguments for the test programs, such as `-- --nocapture`
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn test(options: &Test) -> Result<()> {
    if options.fresh {
        return fresh::fresh();
    }
    root::require("test", "loads kernel programs and makes network namespaces")?;
    // Before cargo rebuilds this very program and the path is that of a deleted file.
    let xtask = env::current_exe().context("find this program")?;
    setup::setup(setup::TESTS)?;
    bpffs::provide()?;
    let upgrades = options.name.as_deref().is_none_or(|name| name == "tests" || name.contains("upgrade"));
    let other = if upgrades { Some(build::build_other_layout()?) } else { None };
    let tattler = build::build(&Build { release: false })?;

    let programs = tempfile::tempdir().context("make a temporary directory")?;
    programs::link_into(programs.path())?;
    let mut cargo = paths::cargo();
    // All failures are worth knowing at once.
    cargo.args(["test", "--locked", "--no-fail-fast", "--config", &runner(programs.path())]);
    if let Some(name) = &options.name {
        select(&mut cargo, name);
    }
    cargo.arg("--").args(&options.arguments);
    if options.all {
        // `ignore` marks measurements only.
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

/// The tests' PATH. By a runner, since another PATH for cargo itself would recompile the kernel programs.
fn runner(programs: &Path) -> String {
    format!("target.'cfg(unix)'.runner = ['/usr/bin/env', 'PATH={}']", programs.display())
}

/// A package or a file of tests is built alone; anything else filters by the tests' names.
fn select(cargo: &mut std::process::Command, name: &str) {
    let root = paths::workspace();
    let is_plain = !name.contains(['/', '.']);
    if is_plain && root.join(name).join("Cargo.toml").is_file() {
        cargo.args(["--package", name]);
    } else if is_plain && root.join("tests/tests").join(format!("{name}.rs")).is_file() {
        cargo.args(["--package", "tests", "--test", name]);
    } else {
        cargo.arg(name);
    }
}
