//! `cargo xtask test`: runs the tests of the workspace, with the programs and the rights that they need.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::build::Build;
use crate::setup::programs;
use crate::{build, fresh, mounts, paths, process, root, setup};

#[derive(Args)]
pub struct Test {
    /// A package, a file of tests/tests/, or a part of tests' names [default: all tests]
    name: Option<String>,
    /// Include long measurements, whose figures are in docs/
    #[arg(long)]
    all: bool,
    /// Run both commands of the README in a new, bare Debian instead
    #[arg(long, conflicts_with_all = ["name", "all", "arguments"])]
    fresh: bool,
    /// Run the unit tests alone, with the wall clock shifted by so much: +1y, -1y
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true, conflicts_with_all = ["name", "all", "fresh"])]
    clock: Option<String>,
    /// Arguments for the test programs, such as `-- --nocapture`
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn test(options: &Test) -> Result<()> {
    if options.fresh {
        return fresh::fresh();
    }
    root::require("test", "loads kernel programs and makes network namespaces")?;
    // Must come before cargo rebuilds xtask: later, this path would name a deleted file.
    let xtask = env::current_exe().context("find this program")?;
    setup::setup(setup::TESTS)?;
    mounts::provide()?;
    // Not in /tmp: a container of the tests mounts another file system there.
    let programs = tempfile::tempdir_in(paths::tools()).context("make a temporary directory")?;
    programs::link_into(programs.path())?;
    if let Some(offset) = &options.clock {
        return test_at(offset, programs.path(), &options.arguments);
    }
    let upgrades = options.name.as_deref().is_none_or(|name| name == "tests" || name.contains("upgrade"));
    let other = if upgrades { Some(build::build_other_layout()?) } else { None };
    let tattler = build::build(&Build { release: false })?;

    let limit = if options.all { None } else { Some(TEST_PROGRAM) };
    let mut cargo = cargo_test(programs.path(), limit, &[]);
    if let Some(name) = &options.name {
        select(&mut cargo, name);
    }
    cargo.arg("--").args(&options.arguments);
    cargo.env("TATTLER_BIN", tattler).env("XTASK_BIN", xtask).envs(other.map(|other| ("TATTLER_OTHER_BIN", other)));
    if options.all {
        // Only measurements have the attribute `ignore`.
        cargo.arg("--include-ignored").env("TATTLER_LONG", "1");
    }
    process::succeed(&mut cargo, "tests failed")
}

/// The packages whose unit tests must not depend on the date.
const UNITS: [&str; 7] =
    ["sensor-common", "tattler-core", "tattler-files", "sensor-user", "homes", "accuracy", "xtask"];

/// Time limit of a test program. A program that takes longer hangs, and is killed.
const TEST_PROGRAM: Duration = Duration::from_secs(20 * 60);

/// Runs the unit tests with another wall clock. Boot time is unchanged, since the tests use it to measure waits.
fn test_at(offset: &str, programs: &Path, arguments: &[String]) -> Result<()> {
    eprintln!("unit tests with the clock at {offset}");
    let clock = ["/usr/bin/env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", offset];
    let mut cargo = cargo_test(programs, Some(TEST_PROGRAM), &clock);
    cargo.args(["--lib", "--bins"]).args(UNITS.iter().flat_map(|name| ["--package", name]));
    // This test runs cargo, which hangs with a false clock.
    cargo.args(["--", "--skip", "dependencies_keep_the_rules_of_deny_toml"]).args(arguments);
    process::succeed(&mut cargo, "tests failed")
}

/// A `cargo test` command. A runner gives each test program a PATH with only the listed programs, a time limit, and the
/// command `prefix`. Another PATH for cargo itself would recompile the kernel programs.
fn cargo_test(programs: &Path, limit: Option<Duration>, prefix: &[&str]) -> Command {
    let mut runner = vec!["/usr/bin/env".to_owned(), format!("PATH={}", programs.display())];
    if let Some(limit) = limit {
        let patience = env::var("TATTLER_PATIENCE").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
        runner.extend(["timeout", "--kill-after=10", &(limit * patience).as_secs().to_string()].map(str::to_owned));
    }
    runner.extend(prefix.iter().map(|&word| word.to_owned()));
    let words: Vec<String> = runner.iter().map(|word| format!("'{word}'")).collect();
    let mut cargo = paths::cargo();
    cargo.args(["test", "--locked", "--no-fail-fast", "--config"]);
    cargo.arg(format!("target.'cfg(unix)'.runner = [{}]", words.join(", ")));
    cargo
}

/// Selects tests: a package or a file of tests is built alone. Any other name filters the tests by their names.
fn select(cargo: &mut Command, name: &str) {
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
