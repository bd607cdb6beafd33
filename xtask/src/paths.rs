//! Paths: the workspace, its target directory, and the programs that the verbs call.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The directory of the workspace's Cargo.toml.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The workspace's target directory, which the user may have moved.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => env::current_dir().unwrap_or_default().join(dir),
        None => workspace().join("target"),
    }
}

/// The directory of tools for this project alone: bpf-linker, and daemons that are unpacked but not installed. The
/// build script of sensor-user uses the same directory, independent of CARGO_TARGET_DIR.
pub fn tools() -> PathBuf {
    workspace().join("target/tools")
}

/// The full path of a program, if the program is installed. Also searches the `sbin` directories, which are not on a
/// user's PATH on Debian.
pub fn find(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// The full path of a program that setup installs. Fails if it is missing.
pub fn require(program: &str) -> Result<PathBuf> {
    find(program).with_context(|| format!("`{program}` is not on PATH: run `cargo xtask setup`"))
}

/// A command for a program that setup installs.
pub fn command(program: &str) -> Result<Command> {
    Ok(Command::new(require(program)?))
}

fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs = vec![tools().join("bin")];
    dirs.extend(env::split_paths(&path).filter(|dir| dir.is_absolute()));
    dirs.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs
}

/// The cargo that started xtask, so that one toolchain builds every part.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// The rustc in the toolchain of this cargo.
pub fn rustc() -> PathBuf {
    let beside = env::var_os("CARGO").map(|cargo| PathBuf::from(cargo).with_file_name("rustc"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| "rustc".into())
}
