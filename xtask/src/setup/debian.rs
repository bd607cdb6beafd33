//! Installs programs on Debian.
//!
//! Setup must not start, enable or replace a service of the machine. Packages with services are therefore only unpacked
//! into the tools directory. Their libraries are installed.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{paths, process};

use super::programs::{self, Program};

/// Debian's Rust compiler for its browsers, with cargo and the library sources. All three packages come from one source
/// package.
const COMPILER: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

pub fn is_here() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian") && paths::find("apt-get").is_some()
}

pub fn install(missing: &[Program], needs_compiler: bool) -> Result<()> {
    run(apt_get()?.arg("update"))?;
    let (services, tools): (Vec<Program>, Vec<Program>) = missing.iter().partition(|program| program.is_service);
    let mut packages = programs::packages(&tools);
    if needs_compiler {
        packages.extend(COMPILER.map(str::to_owned));
    }
    apt_install(&packages)?;
    for package in programs::packages(&services) {
        unpack(&package, &services)?;
    }
    Ok(())
}

/// Installs packages. Removes and upgrades no other package.
pub fn apt_install(packages: &[String]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", packages.join(" "));
    let mut arguments = vec!["install", "--yes", "--no-install-recommends", "--no-remove", "--no-upgrade"];
    arguments.extend(packages.iter().map(String::as_str));
    run(apt_get()?.args(arguments))
}

fn apt_get() -> Result<Command> {
    let mut apt = paths::command("apt-get")?;
    apt.args(["-qq", "--option", "Dpkg::Use-Pty=0"]);
    // Without this setting, needrestart would restart services whose libraries were replaced.
    apt.env("DEBIAN_FRONTEND", "noninteractive").env("NEEDRESTART_SUSPEND", "1");
    Ok(apt)
}

/// Unpacks the programs of a service's package. Of its dependencies, installs only the libraries.
fn unpack(package: &str, services: &[Program]) -> Result<()> {
    eprintln!("unpacking {package} into {}", paths::tools().display());
    let dir = tempfile::tempdir().context("make a temporary directory")?;
    // apt's own user can't write to a directory that root owns.
    let mut download = apt_get()?;
    download.args(["--option", "APT::Sandbox::User=root", "download", package]);
    run(download.current_dir(dir.path()))?;
    let archive = fs::read_dir(dir.path())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .with_context(|| format!("apt-get brought no file for {package}"))?;

    let depends = process::output(paths::command("dpkg-deb")?.arg("--field").arg(&archive).arg("Depends"))?;
    apt_install(&libraries(&String::from_utf8_lossy(&depends.stdout)))?;
    let files = dir.path().join("files");
    run(paths::command("dpkg-deb")?.arg("--extract").arg(&archive).arg(&files))?;
    for program in services.iter().filter(|program| program.package == package) {
        place(&files, program)?;
    }
    Ok(())
}

/// Copies a program into the tools directory.
fn place(files: &Path, program: &Program) -> Result<()> {
    let from = ["usr/sbin", "usr/bin", "sbin", "bin"]
        .map(|dir| files.join(dir).join(program.name))
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("package {} has no {}", program.package, program.name))?;
    let to = paths::tools().join("bin");
    fs::create_dir_all(&to).with_context(|| format!("make {}", to.display()))?;
    let to = to.join(program.name);
    fs::copy(&from, &to).with_context(|| format!("write {}", to.display()))?;
    fs::set_permissions(&to, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {} executable", to.display()))
}

/// The shared libraries in a list of dependencies, such as `libc6 (>= 2.34), libcap2, adduser | sysusers`. Skips
/// JavaScript libraries and modules of services: no program is linked to these.
fn libraries(depends: &str) -> Vec<String> {
    depends
        .split(',')
        .filter_map(|choice| choice.split_whitespace().next())
        .filter(|name| name.starts_with("lib"))
        .filter(|name| !name.starts_with("libjs-") && !name.starts_with("libnginx-"))
        .map(str::to_owned)
        .collect()
}

/// Runs a command, whose output goes to standard error: standard output is for reports.
fn run(command: &mut Command) -> Result<()> {
    let failure = format!("`{}` failed: its reason is above", process::describe(command));
    process::succeed(command.stdin(Stdio::null()).stdout(io::stderr()), &failure)
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn libraries_are_taken_from_dependencies() {
        let depends = "adduser, iproute2 [linux-any], libc6 (>= 2.36), libjs-moment, libcap2:any (>= 1), tzdata | x";
        assert_eq!(libraries(depends), ["libc6", "libcap2:any"]);
    }
}
