//! A kernel from Debian's archive, reduced to the files that a guest needs, and cached.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt::Apt;
use super::kernels::Kernel;
use super::modules::{Modules, WANTED};

/// A kernel that can be started.
pub struct Image {
    pub vmlinuz: PathBuf,
    /// In the order of their names.
    pub modules: Vec<PathBuf>,
}

/// Downloads a kernel, unless it is in the cache.
pub fn fetch(kernel: &Kernel, apt: &Apt, cache: &Path) -> Result<Image> {
    let packages = apt.names("linux-image-")?;
    let package = kernel
        .choose(&packages)
        .with_context(|| format!("Debian's archive has no kernel {} or later", kernel.series))?;
    let dir = cache.join(package.trim_start_matches("linux-image-"));
    // Written last: it exists for complete images only.
    let complete = dir.join("modules.wanted");
    let wanted = WANTED.join(" ");
    if fs::read_to_string(&complete).ok().as_deref() != Some(&wanted) {
        eprintln!("fetching {package}");
        let _ = fs::remove_dir_all(&dir);
        unpack(package, apt, &dir).with_context(|| format!("unpack {package}"))?;
        fs::write(&complete, wanted).with_context(|| format!("write {}", complete.display()))?;
    }
    let entries = fs::read_dir(dir.join("modules")).with_context(|| format!("list {}", dir.display()))?;
    let mut modules: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    modules.sort();
    Ok(Image { vmlinuz: dir.join("vmlinuz"), modules })
}

fn unpack(package: &str, apt: &Apt, dir: &Path) -> Result<()> {
    let all = dir.join("all");
    // Newer images consist of several packages.
    let mut packages = apt.dependencies(package)?;
    packages.retain(|name| name.starts_with("linux-binary-") || name.starts_with("linux-modules-"));
    packages.push(package.to_owned());
    apt.unpack(&packages, &all)?;
    // In merged-/usr packages the modules are below /usr, and the kernel is with them.
    let lib = ["lib/modules", "usr/lib/modules"].map(|dir| all.join(dir)).into_iter().find(|dir| dir.is_dir());
    let lib = entry(&lib.context("the package holds no modules")?, "")?;
    let vmlinuz = entry(&all.join("boot"), "vmlinuz-").or_else(|_| entry(&lib, "vmlinuz"))?;
    fs::rename(&vmlinuz, dir.join("vmlinuz")).with_context(|| format!("move {}", vmlinuz.display()))?;
    let modules = Modules::below(&lib)?;
    fs::create_dir_all(dir.join("modules"))?;
    for (number, (name, code)) in modules.closure(WANTED)?.into_iter().enumerate() {
        fs::write(dir.join(format!("modules/{number:02}-{name}.ko")), code)?;
    }
    fs::remove_dir_all(&all).with_context(|| format!("remove {}", all.display()))
}

fn entry(dir: &Path, stem: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(stem));
    paths.find(is_it).with_context(|| format!("{} holds no {stem}*", dir.display()))
}
