//! Kernel modules with their dependencies, in the order in which they are inserted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{paths, process};

/// The modules that the checks use. A module that is built in is left out, and so is a missing one, whose check then
/// fails.
pub const WANTED: &[&str] = &["af_packet", "veth", "8021q", "sit", "sch_ingress", "cls_bpf", "pppoe", "ppp_async"];

/// A kernel's modules by their names.
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
}

impl Modules {
    /// Finds all modules below a directory.
    pub fn below(dir: &Path) -> Result<Modules> {
        let mut modules = Modules { files: BTreeMap::new() };
        modules.add(dir)?;
        Ok(modules)
    }

    fn add(&mut self, dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                self.add(&path)?;
            } else if let Some((name, "" | ".xz" | ".zst")) = name.split_once(".ko") {
                // Names have _ where files may have -.
                self.files.insert(name.replace('-', "_"), path);
            }
        }
        Ok(())
    }

    /// The wanted modules, each after its dependencies.
    pub fn closure(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for name in wanted {
            self.take(name, &mut found)?;
        }
        Ok(found)
    }

    fn take(&self, name: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        let Some(path) = self.files.get(name) else { return Ok(()) };
        if found.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        let code = read(path)?;
        for needed in needs(&code) {
            self.take(&needed, found)?;
        }
        found.push((name.to_owned(), code));
        Ok(())
    }
}

/// A module's dependencies, from its section `.modinfo`.
fn needs(code: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = code.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let names = code[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(names);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// Some kernels have compressed modules, and not all of these can decompress them.
fn read(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|end| end.to_str()) {
        Some("ko") => return fs::read(path).with_context(|| format!("read {}", path.display())),
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => bail!("{}: unknown compression", path.display()),
    };
    Ok(process::output(paths::command(program)?.args(["--decompress", "--stdout"]).arg(path))?.stdout)
}

#[cfg(test)]
mod tests {
    use super::needs;

    #[test]
    fn a_module_names_its_dependencies() {
        let code = b"\x7fELF\0license=GPL\0depends=pppox,ppp-generic\0retpoline=Y\0";
        assert_eq!(needs(code), ["pppox", "ppp_generic"]);
        assert_eq!(needs(b"\0license=GPL\0depends=\0name=slhc\0"), [""; 0]);
        assert_eq!(needs(b""), [""; 0]);
    }
}
