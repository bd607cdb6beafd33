//! A bare Debian, made by debootstrap, with a clone of the project and the machine's settings for package registries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::vm::apt::Apt;
use crate::{paths, process};

/// The clone of the project. The directory `shared` is next to it.
pub const PROJECT: &str = "/work/project";
pub const CARGO_HOME: &str = "/usr/local/cargo";

/// Additional packages. A Rust toolchain needs a C compiler to link, and cargo needs certificates to download. The
/// official slim images of Rust add the same three packages to Debian.
const PACKAGES: &str = "--include=ca-certificates,gcc,libc6-dev";

/// Files that the machine needs to reach the network and the package registries.
const SETTINGS: [&str; 4] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/usr/local/share/ca-certificates"];

/// A root directory with a bare Debian. Dropping it removes the directory.
pub struct Debian {
    dir: PathBuf,
    pub toolchain: PathBuf,
}

impl Debian {
    pub fn make() -> Result<Debian> {
        let dir = paths::target().join("fresh");
        if dir.exists() {
            bail!("{} is in use, or left from a run that was killed: remove it", dir.display());
        }
        let sysroot = process::output(Command::new(paths::rustc()).args(["--print", "sysroot"]))?.stdout;
        let debian = Debian { dir, toolchain: PathBuf::from(String::from_utf8(sysroot)?.trim()) };
        if debian.toolchain == Path::new("/usr") {
            bail!("this rustc is the distribution's, in /usr: use a toolchain of rustup");
        }
        fs::create_dir_all(&debian.dir).with_context(|| format!("make {}", debian.dir.display()))?;
        debian.bootstrap().context("make a bare Debian")?;
        debian.settle().context("copy settings and the project")?;
        Ok(debian)
    }

    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn bootstrap(&self) -> Result<()> {
        let system = Apt::of_system(paths::target().join("vm/system"))?;
        let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let mut bootstrap = super::contained()?;
        bootstrap.arg(paths::require("debootstrap")?).args(["--variant=minbase", PACKAGES]);
        bootstrap.arg(suite.context("find the release in /etc/os-release")?).arg(self.root()).arg(system.mirror()?);
        let told = process::output(paths::command("apt-config")?.args(["shell", "p", "Acquire::http::Proxy"]))?.stdout;
        if let Some(proxy) = String::from_utf8(told)?.trim().strip_prefix("p='").and_then(|p| p.strip_suffix('\'')) {
            bootstrap.env("http_proxy", proxy);
        }
        eprintln!("fresh: making a bare Debian in {}", self.root().display());
        if !super::run(bootstrap.stdout(std::io::stderr()))? {
            bail!("debootstrap failed: its reason is above");
        }
        self.write("etc/apt/sources.list", &system.sources()?)?;
        let network = process::output(paths::command("apt-config")?.args(["dump", "Acquire::http", "Acquire::https"]))?;
        self.write("etc/apt/apt.conf.d/90machine", &String::from_utf8(network.stdout)?)
    }

    fn settle(&self) -> Result<()> {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"))).unwrap_or_default();
        let shared = paths::workspace().join("../shared");
        let copies = SETTINGS
            .map(|path| (PathBuf::from(path), path.to_owned()))
            .into_iter()
            .chain([(home.join("config.toml"), format!("{CARGO_HOME}/config.toml")), (shared, "/work/shared".into())]);
        fs::create_dir_all(self.root().join("usr/local/rust"))?;
        for (from, to) in copies.filter(|(from, _)| from.exists()) {
            let to = self.below(&to);
            fs::create_dir_all(to.parent().unwrap_or(Path::new("/")))?;
            let _ = fs::remove_dir(&to);
            process::output(paths::command("cp")?.args(["--recursive", "--dereference"]).arg(&from).arg(&to))?;
        }
        let to = self.below(PROJECT);
        process::output(
            paths::command("git")?.args(["clone", "--quiet", "--no-hardlinks"]).arg(paths::workspace()).arg(to),
        )?;
        Ok(())
    }

    fn below(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.below(path);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("warning: {} was not removed: {error}", self.dir.display());
        }
    }
}
