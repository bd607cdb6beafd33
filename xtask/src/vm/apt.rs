//! Debian's packages without installing them: an apt with its own lists below the target directory. It uses the
//! system's mirror and keys with the names of other suites.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{paths, process};

/// The keys that sign Debian's suites.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Lists are downloaded again after this time.
const FRESH: Duration = Duration::from_secs(24 * 3_600);

pub struct Apt {
    dir: PathBuf,
    /// Our own sources. None: the system's.
    sources: Option<PathBuf>,
}

impl Apt {
    /// The system's own suites.
    pub fn of_system(dir: PathBuf) -> Result<Apt> {
        let apt = Apt { dir, sources: None };
        apt.update()?;
        Ok(apt)
    }

    /// Other suites, from the system's mirror.
    pub fn of_suites(dir: PathBuf, suites: &[&str], system: &Apt) -> Result<Apt> {
        let mirror = system.mirror()?;
        let lines = suites.iter().map(|suite| format!("deb [arch=amd64 signed-by={KEYS}] {mirror} {suite} main\n"));
        let sources = dir.join("sources.list");
        fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        fs::write(&sources, lines.collect::<String>()).with_context(|| format!("write {}", sources.display()))?;
        let apt = Apt { dir, sources: Some(sources) };
        apt.update()?;
        Ok(apt)
    }

    /// The mirror from which the system takes Debian's packages.
    pub fn mirror(&self) -> Result<String> {
        let listed = self.targets("$(LABEL)|$(REPO_URI)")?;
        let mirror = listed.lines().find_map(|line| line.strip_prefix("Debian|Debian|"));
        mirror.map(str::to_owned).context("find Debian's mirror in the sources of apt")
    }

    /// All of the system's sources that are Debian's, as lines of a sources.list.
    pub fn sources(&self) -> Result<String> {
        let listed = self.targets("deb $(REPO_URI) $(RELEASE) $(COMPONENT)")?;
        let mut lines: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("Debian|")).collect();
        lines.sort_unstable();
        lines.dedup();
        Ok(lines.join("\n") + "\n")
    }

    /// The indices of packages that the system reads: origin, `|`, and these fields.
    fn targets(&self, fields: &str) -> Result<String> {
        let format = format!("$(ORIGIN)|{fields}");
        let mut targets = self.command("apt-get")?;
        targets.args(["indextargets", "--format", &format, "Identifier: Packages"]);
        Ok(String::from_utf8(process::output(&mut targets)?.stdout)?)
    }

    /// Downloads the lists again, unless they are recent.
    fn update(&self) -> Result<()> {
        let stamp = self.dir.join("updated");
        let age = fs::metadata(&stamp).and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age < FRESH) {
            return Ok(());
        }
        for dir in ["lists/partial", "cache/archives/partial"] {
            let dir = self.dir.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        }
        process::output(self.command("apt-get")?.args(["--quiet", "--quiet", "update"]))?;
        fs::write(&stamp, "").with_context(|| format!("write {}", stamp.display()))
    }

    fn command(&self, program: &str) -> Result<Command> {
        let mut apt = paths::command(program)?;
        let mut set = |name: &str, value: &Path| _ = apt.arg("--option").arg(format!("{name}={}", value.display()));
        set("Dir::State::Lists", &self.dir.join("lists"));
        set("Dir::Cache", &self.dir.join("cache"));
        if let Some(sources) = &self.sources {
            set("Dir::Etc::SourceList", sources);
            set("Dir::Etc::SourceParts", Path::new("/dev/null"));
            // The preferences are for the system's own releases.
            set("Dir::Etc::Preferences", Path::new("/dev/null"));
            set("Dir::Etc::PreferencesParts", Path::new("/dev/null"));
        }
        // apt's own user can't write to a directory of ours.
        apt.args(["--option", "APT::Sandbox::User=", "--option", "Acquire::Languages=none"]);
        Ok(apt)
    }

    /// The names of all packages that begin with `stem`.
    pub fn names(&self, stem: &str) -> Result<Vec<String>> {
        let listed = process::output(self.command("apt-cache")?.args(["pkgnames", stem]))?;
        Ok(String::from_utf8(listed.stdout)?.lines().map(str::to_owned).collect())
    }

    /// These packages and those of their dependencies that the system lacks.
    pub fn with_dependencies(&self, packages: &[&str]) -> Result<Vec<String>> {
        let mut plan = self.command("apt-get")?;
        plan.args(["--simulate", "--no-install-recommends", "install"]).args(packages);
        let plan = String::from_utf8(process::output(&mut plan)?.stdout)?;
        let mut names: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
        for line in plan.lines() {
            if let Some(name) = line.strip_prefix("Inst ").and_then(|rest| rest.split(' ').next())
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The packages that one depends on.
    pub fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let mut show = self.command("apt-cache")?;
        show.args(["depends", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces"]);
        let listed = String::from_utf8(process::output(show.arg(package))?.stdout)?;
        let names = listed.lines().filter_map(|line| line.trim().split_once("Depends: "));
        Ok(names.map(|(_, name)| name.to_owned()).collect())
    }

    /// Downloads packages, whose signatures apt checks, and unpacks them into a directory.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let dir = tempfile::tempdir_in(&self.dir).context("make a temporary directory")?;
        let mut download = self.command("apt-get")?;
        download.args(["--quiet", "--quiet", "download"]).args(packages).current_dir(dir.path());
        process::output(&mut download)?;
        fs::create_dir_all(into).with_context(|| format!("make {}", into.display()))?;
        let mut unpacked = 0;
        for archive in fs::read_dir(dir.path())?.flatten() {
            process::output(paths::command("dpkg-deb")?.arg("--extract").arg(archive.path()).arg(into))?;
            unpacked += 1;
        }
        if unpacked != packages.len() {
            bail!("apt-get brought {unpacked} of {} packages: {}", packages.len(), packages.join(" "));
        }
        Ok(())
    }
}

/// Fails where there is no apt.
pub fn require() -> Result<()> {
    if ["apt-get", "dpkg-deb"].iter().any(|program| paths::find(program).is_none()) {
        bail!("`cargo xtask vm` takes kernels from Debian and needs `apt-get` and `dpkg-deb`, which are not here");
    }
    Ok(())
}
