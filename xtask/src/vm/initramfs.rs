//! A guest's file system, which the kernel unpacks into memory: the first process, programs with their libraries, and
//! modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cpio::newc::Builder;

use crate::{paths, process};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Files by their paths in the guest.
#[derive(Clone, Default)]
pub struct Files {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Files {
    /// Adds a file.
    pub fn add(&mut self, at: &str, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.files.insert(at.into(), bytes);
        Ok(())
    }

    /// Adds a program without its debug information, and the libraries that it is linked to.
    pub fn add_program(&mut self, at: &str, from: &Path, libraries: &[PathBuf]) -> Result<()> {
        let bare = tempfile::NamedTempFile::new().context("make a temporary file")?;
        process::output(paths::command("strip")?.arg("-o").arg(bare.path()).arg(from))?;
        self.add(at, bare.path())?;
        for library in linked(from, libraries)? {
            // A library from outside the system goes where the guest looks.
            let to = match libraries.iter().any(|dir| library.starts_with(dir)) {
                true => Path::new("/lib").join(library.file_name().unwrap_or_default()),
                false => library.clone(),
            };
            self.add(&to.display().to_string(), &library)?;
        }
        Ok(())
    }

    /// Writes a cpio archive, directories first, as the kernel needs it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut archive = Vec::new();
        let parents: BTreeSet<&Path> = self.files.keys().flat_map(|path| path.ancestors().skip(1)).collect();
        let mut inode = 0;
        let mut put = |path: &Path, mode: u32, bytes: &[u8]| -> Result<()> {
            let name = path.to_str().context("a path that is no text")?.trim_start_matches('/');
            inode += 1;
            let mut file = Builder::new(name).ino(inode).mode(mode).write(&mut archive, bytes.len() as u32);
            file.write_all(bytes)?;
            file.finish()?;
            Ok(())
        };
        for directory in parents.into_iter().filter(|path| path.parent().is_some()) {
            put(directory, DIRECTORY, &[])?;
        }
        for (path, bytes) in &self.files {
            put(path, PROGRAM, bytes)?;
        }
        cpio::newc::trailer(&mut archive)?;
        fs::write(path, archive).with_context(|| format!("write {}", path.display()))
    }
}

/// The libraries of a program, and the loader itself.
fn linked(program: &Path, libraries: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut ldd = paths::command("ldd")?;
    ldd.arg(program).env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    let said = match process::output(&mut ldd) {
        Ok(done) => String::from_utf8(done.stdout)?,
        // ldd fails for a static program.
        Err(_) => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for line in said.lines() {
        if line.contains("not found") {
            bail!("{} needs a library: {}", program.display(), line.trim());
        }
        found.extend(line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from));
    }
    Ok(found)
}
