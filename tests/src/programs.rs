//! The binaries under test and the tools, found and run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The tattler binary: TATTLER_BIN, else that of the debug build.
#[must_use]
pub fn tattler() -> PathBuf {
    binary("TATTLER_BIN", "tattler")
}

/// The tattler binary of a version that lays out its records otherwise: TATTLER_OTHER_BIN, else that beside
/// the debug build.
#[must_use]
pub fn other_tattler() -> PathBuf {
    binary("TATTLER_OTHER_BIN", "tattler-other-layout")
}

/// The xtask binary: XTASK_BIN, else that of the debug build.
#[must_use]
pub fn xtask() -> PathBuf {
    binary("XTASK_BIN", "xtask")
}

fn binary(variable: &str, name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug").join(name);
    let path = env::var_os(variable).map_or(target, PathBuf::from);
    assert!(path.is_file(), "there is no {}: run the tests by `cargo xtask test`", path.display());
    path
}

/// A tool with its standard input closed. `cargo xtask test` sets a PATH of the listed programs alone.
#[must_use]
pub fn tool(name: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    let missing = || {
        panic!(
            "no {name} on PATH: run the tests by `cargo xtask test`, which installs what xtask/src/setup/programs.rs lists"
        )
    };
    let mut command = Command::new(found.unwrap_or_else(missing));
    command.stdin(Stdio::null());
    command
}

/// Runs to the end and gives what was printed to standard output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}
