//! The programs of a guest: ours, tools of the system, and some that are unpacked for guests alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::apt::Apt;
use super::initramfs::Files;
use super::kernels::{Flavour, Kernel};
use crate::build::{self, Build};
use crate::{paths, process};

/// Tools of the system, which setup installs.
const TOOLS: &[&str] = &["ip", "tc", "nsenter", "ping", "sh"];
/// Tests by test-run, which the guest runs whole.
const TESTS: &[&str] = &["kernel", "differential"];
/// A PPPoE client and server, which are not installed on the machine for a test alone.
const PPP_PACKAGES: &[&str] = &["ppp", "pppoe"];
pub const PPP_PROGRAMS: &[&str] = &["pppd", "pppoe", "pppoe-server"];

/// The binaries that cargo builds.
pub struct Binaries {
    tattler: PathBuf,
    /// A guest's first process.
    guest: PathBuf,
    /// Test programs by their names.
    tests: Vec<(&'static str, PathBuf)>,
}

/// Builds the binaries for guests, without optimisation, as for the tests.
pub fn build() -> Result<Binaries> {
    let tattler = build::build(&Build { release: false })?;
    process::succeed(
        paths::cargo().args(["build", "--locked", "--package", "tests", "--bin", "guest"]),
        "cargo could not build the guest's first process",
    )?;
    Ok(Binaries { tattler, guest: paths::target().join("debug/guest"), tests: build_tests()? })
}

fn build_tests() -> Result<Vec<(&'static str, PathBuf)>> {
    let mut cargo = paths::cargo();
    cargo.args(["test", "--locked", "--no-run", "--package", "tests", "--message-format", "json-render-diagnostics"]);
    cargo.args(TESTS.iter().flat_map(|name| ["--test", name]));
    // Its progress and errors go to our standard error.
    let built = cargo.stderr(Stdio::inherit()).output().context("run cargo")?;
    if !built.status.success() {
        bail!("cargo could not build the tests that guests run");
    }
    let messages = String::from_utf8(built.stdout).context("read what cargo built")?;
    let built: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let path_of = |name: &'static str| {
        let mut executables = built.iter().filter(|message| message["target"]["name"] == name);
        let path = executables.find_map(|message| message["executable"].as_str());
        Ok((name, path.with_context(|| format!("cargo names no executable of the test {name}"))?.into()))
    };
    TESTS.iter().map(|name| path_of(name)).collect()
}

/// The files of guests without the modules.
pub struct Programs {
    all: Files,
    /// The same and the PPPoE programs, for kernels that have PPP.
    with_ppp: Files,
}

impl Programs {
    /// Fetches missing programs and reads all of them.
    pub fn gather(binaries: &Binaries, apt: &Apt, cache: &Path) -> Result<Programs> {
        let mut all = Files::default();
        all.add_program("/init", &binaries.guest, &[])?;
        all.add_program("/bin/tattler", &binaries.tattler, &[])?;
        for (name, test) in &binaries.tests {
            all.add_program(&format!("/tests/{name}"), test, &[])?;
        }
        for tool in TOOLS {
            all.add_program(&format!("/bin/{tool}"), &paths::require(tool)?, &[])?;
        }
        let mut with_ppp = all.clone();
        add_ppp(&mut with_ppp, apt, &cache.join("ppp")).context("bring PPPoE into the guest")?;
        Ok(Programs { all, with_ppp })
    }

    /// The files for a kernel.
    pub fn files(&self, kernel: &Kernel) -> Files {
        match kernel.flavour {
            Flavour::Cloud => self.all.clone(),
            Flavour::Generic => self.with_ppp.clone(),
        }
    }
}

fn add_ppp(files: &mut Files, apt: &Apt, root: &Path) -> Result<()> {
    let complete = root.join("complete");
    if !complete.is_file() {
        eprintln!("fetching {}", PPP_PACKAGES.join(" "));
        let _ = fs::remove_dir_all(root);
        apt.unpack(&apt.with_dependencies(PPP_PACKAGES)?, root)?;
        fs::write(&complete, "").with_context(|| format!("write {}", complete.display()))?;
    }
    let libraries = super::library_dirs(root);
    for program in PPP_PROGRAMS {
        let path = format!("/usr/sbin/{program}");
        files.add_program(&path, &root.join(&path[1..]), &libraries)?;
    }
    // pppd looks for its plug-ins in a directory with its version.
    let plugins = root.join("usr/lib/pppd");
    let versions = fs::read_dir(&plugins).with_context(|| format!("list {}", plugins.display()))?;
    for version in versions.flatten() {
        let to = Path::new("/usr/lib/pppd").join(version.file_name()).join("pppoe.so");
        files.add(&to.display().to_string(), &version.path().join("pppoe.so"))?;
    }
    Ok(())
}
