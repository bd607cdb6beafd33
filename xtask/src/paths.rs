//! Where things are: the workspace, its target directory, and the programs that the verbs call.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The directory of the workspace's Cargo.toml.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The workspace's target directory, wherever the user keeps it.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => env::current_dir().unwrap_or_default().join(dir),
        None => workspace().join("target"),
    }
}

/// Tools for this project alone: bpf-linker, and daemons that are unpacked but not installed. sensor-user's
/// build looks here too, whatever CARGO_TARGET_DIR says.
pub fn tools() -> PathBuf {
    workspace().join("target/tools")
}

/// The full path of a program, if it is installed. Also looks in `sbin`, which a user's PATH on Debian
/// does not have.
pub fn find(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// The full path of a program that setup brings.
pub fn require(program: &str) -> Result<PathBuf> {
    find(program).with_context(|| format!("`{program}` is not on PATH: run `cargo xtask setup`"))
}

/// A command for such a program.
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

/// The cargo that runs us, so that one toolchain builds every part.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// The rustc of that cargo's toolchain.
pub fn rustc() -> PathBuf {
    let beside = env::var_os("CARGO").map(|cargo| PathBuf::from(cargo).with_file_name("rustc"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| "rustc".into())
}
