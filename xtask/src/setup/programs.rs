//! The programs that xtask and the tests start, with the Debian package and the purpose of each.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use crate::paths;

use super::Group;

#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
    pub group: Group,
    pub what_for: &'static str,
    /// The program is unpacked for the project and not installed: its package would start a service of the machine, and
    /// chrony's package would replace the machine's time service.
    pub is_service: bool,
}

/// Names of programs in a package, separated by spaces; then package, group and purpose.
struct Row(&'static str, &'static str, Group, &'static str);

/// All programs. Setup looks for each program on PATH, so the program need not come from this package. The tests' PATH
/// has only these programs: a test that starts another program fails.
const PROGRAMS: &[Row] = &[
    Row("cc", "gcc", Group::Build, "compiles SQLite"),
    Row("c++", "g++", Group::Build, "links bpf-linker to LLVM"),
    Row("ip", "iproute2", Group::Run, "finds the uplink, makes namespaces"),
    Row("nsenter", "util-linux", Group::Lab, "runs programs in namespaces"),
    Row("sysctl", "procps", Group::Lab, "makes hosts take temporary addresses"),
    Row("curl", "curl", Group::Lab, "visits web sites"),
    Row("ping", "iputils-ping", Group::Lab, "probes"),
    Row("nmap", "nmap", Group::Lab, "probes"),
    Row("atk6-thcping6", "thc-ipv6", Group::Lab, "probes"),
    Row("scan6", "ipv6toolkit", Group::Lab, "sweeps a prefix"),
    Row("addr6", "ipv6toolkit", Group::Test, "classifies addresses, to compare"),
    Row("ethtool", "ethtool", Group::Test, "sets offloads that the doctor reports"),
    Row("tc", "iproute2", Group::Test, "lists and adds filters"),
    Row("wireguard-go", "wireguard-go", Group::Test, "connects a road warrior, without a kernel module"),
    Row("wg", "wireguard-tools", Group::Test, "configures WireGuard"),
    Row("transmission-cli transmission-create", "transmission-cli", Group::Test, "makes a torrent, and its peers"),
    Row("faketime", "faketime", Group::Test, "sets the clock of one process"),
    Row("tshark", "tshark", Group::Test, "dissects captures, to compare"),
    Row("sqlite3", "sqlite3", Group::Test, "recovers rows of a damaged database"),
    Row("systemctl", "systemd", Group::Test, "runs the unit, under a systemd in a container"),
    Row("mkfs.ext4 chattr", "e2fsprogs", Group::Test, "makes disks that fail, and files that refuse changes"),
    Row("findmnt fsfreeze setpriv unshare", "util-linux", Group::Test, "stalls disks, drops rights, hides mounts"),
    Row("mount umount", "mount", Group::Test, "mounts disks"),
    Row("sh", "dash", Group::Test, "runs the scripts of tests"),
    Row(
        "cat chmod cut head mkdir rmdir sleep timeout touch",
        "coreutils",
        Group::Test,
        "is called in scripts of tests",
    ),
    Row("find", "findutils", Group::Test, "lists control groups"),
    Row("grep", "grep", Group::Test, "selects mounts"),
    Row("sed", "sed", Group::Test, "shortens the answers that the documents show"),
    Row("apt-get apt-cache", "apt", Group::Guest, "lists and fetches kernels"),
    Row("dpkg-deb", "dpkg", Group::Guest, "unpacks packages"),
    Row("ldd", "libc-bin", Group::Guest, "finds the libraries of programs"),
    Row("strip", "binutils", Group::Guest, "makes programs small for guests"),
    Row("xz", "xz-utils", Group::Guest, "unpacks modules for guests"),
    Row("zstd", "zstd", Group::Guest, "unpacks modules for guests"),
    Row("debootstrap", "debootstrap", Group::Fresh, "makes a bare Debian"),
    Row("git", "git", Group::Fresh, "clones the project into it"),
    Row("pivot_root", "util-linux", Group::Fresh, "enters it"),
    Row("cp", "coreutils", Group::Fresh, "copies the captures into it"),
    Row("apt-config", "apt", Group::Fresh, "reads how the machine reaches its packages"),
];

const SERVICES: &[Row] = &[
    Row("radvd", "radvd", Group::Lab, "announces the home prefix"),
    Row("nginx", "nginx", Group::Lab, "runs the web sites"),
    Row("chronyd chronyc", "chrony", Group::Lab, "runs the NTP pool and its clients, and lists them"),
    Row("nft", "nftables", Group::Test, "translates addresses"),
    Row("promtool", "prometheus", Group::Test, "checks the metrics"),
    Row("nfpcapd nfdump", "nfdump", Group::Test, "makes flow records of captures, and counts them"),
];

fn all() -> impl Iterator<Item = Program> {
    let rows = PROGRAMS.iter().map(|row| (row, false)).chain(SERVICES.iter().map(|row| (row, true)));
    rows.flat_map(|(&Row(names, package, group, what_for), is_service)| {
        names.split(' ').map(move |name| Program { name, package, group, what_for, is_service })
    })
}

/// Whether setup installs a program with this name.
#[cfg(test)]
fn is_listed(name: &str) -> bool {
    all().any(|program| program.name == name)
}

/// Fills a directory with links to the installed programs, for the PATH of tests. The tests of dependencies run cargo,
/// which needs the toolchain's rustc.
pub fn link_into(dir: &Path) -> Result<()> {
    let found = all().filter_map(|program| Some((program.name, paths::find(program.name)?)));
    for (name, path) in found.chain([("rustc", paths::rustc())]) {
        let link = dir.join(name);
        symlink(&path, &link).with_context(|| format!("link {} to {}", link.display(), path.display()))?;
    }
    Ok(())
}

pub fn missing(groups: &[Group]) -> Vec<Program> {
    all().filter(|program| groups.contains(&program.group) && paths::find(program.name).is_none()).collect()
}

/// The packages of these programs, each package once.
pub fn packages(programs: &[Program]) -> Vec<String> {
    let mut packages: Vec<String> = programs.iter().map(|program| program.package.to_owned()).collect();
    packages.sort();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::is_listed;
    use crate::paths;
    use crate::vm::PPP_PROGRAMS;

    /// Beginnings of the calls that start a program in the sources.
    const CALLS: [&str; 4] = ["Command::new(\"", "tool(\"", "command(\"", "paths::require(\""];
    /// Programs that are not in PROGRAMS: the Rust toolchain, and a program for figures in the documents, which is
    /// started by hand only.
    const OTHERS: [&str; 3] = ["cargo", "rustc", "suricata"];

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != "target" {
                sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_program_that_a_source_starts_is_listed() {
        let mut files = Vec::new();
        sources(paths::workspace(), &mut files);
        let others = [&OTHERS[..], PPP_PROGRAMS].concat();
        let (mut seen, mut unlisted) = (0, Vec::new());
        for file in files.iter().filter(|file| !file.ends_with(file!())) {
            let text = fs::read_to_string(file).unwrap();
            for name in CALLS.iter().flat_map(|call| text.split(call).skip(1)) {
                let name = name.split('"').next().unwrap();
                seen += 1;
                if !is_listed(name) && !name.starts_with('/') && !others.contains(&name) {
                    unlisted.push(format!("{name} in {}", file.display()));
                }
            }
        }
        assert!(seen > 50, "{seen} calls found: does the test still know how programs are started?");
        assert!(unlisted.is_empty(), "add to PROGRAMS: {}", unlisted.join(", "));
    }
}
