//! The programs that xtask and the tests start, their purpose, and their Debian packages.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use crate::paths;

use super::Group;

pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
    pub group: Group,
    pub what_for: &'static str,
    /// Unpacked for our use and not installed: its package would start a service with the machine, and
    /// chrony's would replace the machine's time service.
    pub is_service: bool,
}

const fn program(name: &'static str, package: &'static str, group: Group, what_for: &'static str) -> Program {
    Program { name, package, group, what_for, is_service: false }
}

const fn service(name: &'static str, package: &'static str, group: Group, what_for: &'static str) -> Program {
    Program { name, package, group, what_for, is_service: true }
}

/// Setup looks on PATH, so a program need not come from its package. The tests' PATH has only these programs: a
/// test that starts another one fails.
const PROGRAMS: &[Program] = &[
    program("cc", "gcc", Group::Build, "compiles SQLite"),
    program("c++", "g++", Group::Build, "links bpf-linker to LLVM"),
    program("ip", "iproute2", Group::Run, "finds the uplink, makes namespaces"),
    program("nsenter", "util-linux", Group::Lab, "runs programs in namespaces"),
    program("sysctl", "procps", Group::Lab, "makes hosts take temporary addresses"),
    program("curl", "curl", Group::Lab, "visits web sites"),
    program("ping", "iputils-ping", Group::Lab, "probes"),
    program("nmap", "nmap", Group::Lab, "probes"),
    program("atk6-thcping6", "thc-ipv6", Group::Lab, "probes"),
    program("scan6", "ipv6toolkit", Group::Lab, "sweeps a prefix"),
    service("radvd", "radvd", Group::Lab, "announces the home prefix"),
    service("nginx", "nginx", Group::Lab, "runs the web sites"),
    service("chronyd", "chrony", Group::Lab, "runs the NTP pool and its clients"),
    service("chronyc", "chrony", Group::Lab, "lists the clients of a time server for the harvester"),
    service("nft", "nftables", Group::Test, "translates addresses"),
    service("promtool", "prometheus", Group::Test, "checks the metrics"),
    program("addr6", "ipv6toolkit", Group::Test, "classifies addresses, to compare"),
    program("ethtool", "ethtool", Group::Test, "sets offloads that the doctor reports"),
    program("tc", "iproute2", Group::Test, "lists and adds filters"),
    program("wireguard-go", "wireguard-go", Group::Test, "connects a road warrior, without a kernel module"),
    program("wg", "wireguard-tools", Group::Test, "configures WireGuard"),
    program("transmission-cli", "transmission-cli", Group::Test, "is a peer of a torrent"),
    program("transmission-create", "transmission-cli", Group::Test, "makes the torrent"),
    program("faketime", "faketime", Group::Test, "sets the clock of one process"),
    program("tshark", "tshark", Group::Test, "dissects captures, to compare"),
    service("nfpcapd", "nfdump", Group::Test, "makes flow records of captures"),
    service("nfdump", "nfdump", Group::Test, "counts them"),
    program("sqlite3", "sqlite3", Group::Test, "recovers rows of a damaged database"),
    program("systemctl", "systemd", Group::Test, "runs the unit, under a systemd in a container"),
    program("mkfs.ext4", "e2fsprogs", Group::Test, "makes disks that fail"),
    program("chattr", "e2fsprogs", Group::Test, "makes files that refuse changes"),
    program("findmnt", "util-linux", Group::Test, "finds the device of a disk"),
    program("fsfreeze", "util-linux", Group::Test, "makes disks that stall"),
    program("setpriv", "util-linux", Group::Test, "drops rights"),
    program("unshare", "util-linux", Group::Test, "makes mounts that no other process sees"),
    program("mount", "mount", Group::Test, "mounts disks"),
    program("umount", "mount", Group::Test, "unmounts them"),
    program("sh", "dash", Group::Test, "runs the scripts of tests"),
    program("cat", "coreutils", Group::Test, "reads files as another user"),
    program("chmod", "coreutils", Group::Test, "opens a directory to others"),
    program("cut", "coreutils", Group::Test, "lists mounts"),
    program("head", "coreutils", Group::Test, "shortens the answers that the documents show"),
    program("mkdir", "coreutils", Group::Test, "makes control groups"),
    program("rmdir", "coreutils", Group::Test, "removes them"),
    program("timeout", "coreutils", Group::Test, "ends test programs that wait for ever"),
    program("sleep", "coreutils", Group::Test, "waits for their processes to end"),
    program("touch", "coreutils", Group::Test, "marks a container as complete"),
    program("find", "findutils", Group::Test, "lists control groups"),
    program("grep", "grep", Group::Test, "selects mounts"),
    program("sed", "sed", Group::Test, "shortens the answers that the documents show"),
    program("apt-get", "apt", Group::Guest, "fetches kernels"),
    program("apt-cache", "apt", Group::Guest, "lists kernels"),
    program("dpkg-deb", "dpkg", Group::Guest, "unpacks packages"),
    program("ldd", "libc-bin", Group::Guest, "finds the libraries of programs"),
    program("strip", "binutils", Group::Guest, "makes programs small for guests"),
    program("xz", "xz-utils", Group::Guest, "unpacks modules for guests"),
    program("zstd", "zstd", Group::Guest, "unpacks modules for guests"),
    program("debootstrap", "debootstrap", Group::Fresh, "makes a bare Debian"),
    program("git", "git", Group::Fresh, "clones the project into it"),
    program("pivot_root", "util-linux", Group::Fresh, "enters it"),
    program("cp", "coreutils", Group::Fresh, "copies the captures into it"),
    program("apt-config", "apt", Group::Fresh, "reads how the machine reaches its packages"),
];

/// Whether setup installs a program of this name.
pub fn is_listed(name: &str) -> bool {
    PROGRAMS.iter().any(|program| program.name == name)
}

/// Fills a directory with links to the installed programs, as the PATH of tests. Tests of dependencies run cargo,
/// which needs the toolchain's rustc.
pub fn link_into(dir: &Path) -> Result<()> {
    let found = PROGRAMS.iter().filter_map(|program| Some((program.name, paths::find(program.name)?)));
    for (name, path) in found.chain([("rustc", paths::rustc())]) {
        let link = dir.join(name);
        symlink(&path, &link).with_context(|| format!("link {} to {}", link.display(), path.display()))?;
    }
    Ok(())
}

pub fn missing(groups: &[Group]) -> Vec<&'static Program> {
    PROGRAMS
        .iter()
        .filter(|program| groups.contains(&program.group))
        .filter(|program| paths::find(program.name).is_none())
        .collect()
}

/// Their packages, each once.
pub fn packages(programs: &[&Program]) -> Vec<String> {
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

    /// How sources start a program.
    const CALLS: [&str; 3] = ["Command::new(\"", "tool(\"", "command(\""];
    /// Part of any Rust toolchain.
    const TOOLCHAIN: [&str; 2] = ["cargo", "rustc"];
    /// Started by hand only, for figures in the documents.
    const BY_HAND: [&str; 1] = ["suricata"];

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
        let (mut seen, mut unlisted) = (0, Vec::new());
        for file in files.iter().filter(|file| !file.ends_with(file!())) {
            let text = fs::read_to_string(file).unwrap();
            for name in CALLS.iter().flat_map(|call| text.split(call).skip(1)) {
                let name = name.split('"').next().unwrap();
                seen += 1;
                let known = is_listed(name)
                    || name.starts_with('/')
                    || [&TOOLCHAIN[..], &BY_HAND, PPP_PROGRAMS].iter().any(|names| names.contains(&name));
                if !known {
                    unlisted.push(format!("{name} in {}", file.display()));
                }
            }
        }
        assert!(seen > 50, "{seen} calls found: does the test still know how programs are started?");
        assert!(unlisted.is_empty(), "add to PROGRAMS: {}", unlisted.join(", "));
    }
}
