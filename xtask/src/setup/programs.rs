//! The programs that are called, what for, and the Debian packages they come in.

use crate::paths;

use super::Group;

pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
    pub group: Group,
    pub what_for: &'static str,
    /// Its package would install a service that starts with the machine; chrony's would even take
    /// the place of the machine's own time service. So it is unpacked for our use, not installed.
    pub is_service: bool,
}

const fn program(name: &'static str, package: &'static str, group: Group, what_for: &'static str) -> Program {
    Program { name, package, group, what_for, is_service: false }
}

const fn service(name: &'static str, package: &'static str, what_for: &'static str) -> Program {
    Program { name, package, group: Group::Lab, what_for, is_service: true }
}

/// A program is looked for on PATH, so that one from elsewhere than a package is as good.
const PROGRAMS: &[Program] = &[
    program("cc", "gcc", Group::Build, "compiles SQLite"),
    program("c++", "g++", Group::Build, "links bpf-linker to LLVM"),
    program("ip", "iproute2", Group::Lab, "makes namespaces"),
    program("nsenter", "util-linux", Group::Lab, "runs programs in namespaces"),
    program("sysctl", "procps", Group::Lab, "makes hosts take temporary addresses"),
    program("curl", "curl", Group::Lab, "visits web sites"),
    program("ping", "iputils-ping", Group::Lab, "probes"),
    program("nmap", "nmap", Group::Lab, "probes"),
    program("atk6-thcping6", "thc-ipv6", Group::Lab, "probes"),
    program("scan6", "ipv6toolkit", Group::Lab, "sweeps a prefix"),
    service("nft", "nftables", "translates addresses"),
    service("radvd", "radvd", "announces the home prefix"),
    service("nginx", "nginx", "is the web sites"),
    service("chronyd", "chrony", "is the NTP pool, and its clients"),
    service("chronyc", "chrony", "tells the harvester who asked"),
    service("promtool", "prometheus", "checks the metrics"),
    program("wireguard-go", "wireguard-go", Group::Lab, "is a road warrior, without a kernel module"),
    program("wg", "wireguard-tools", Group::Lab, "sets it up"),
    program("transmission-cli", "transmission-cli", Group::Lab, "is a peer of a torrent"),
    program("transmission-create", "transmission-cli", Group::Lab, "makes the torrent"),
    program("faketime", "faketime", Group::Lab, "sets the clock of one process"),
    program("tshark", "tshark", Group::Lab, "takes captures apart, to compare"),
    service("nfpcapd", "nfdump", "makes flow records of captures"),
    service("nfdump", "nfdump", "counts them"),
    program("strip", "binutils", Group::Guest, "makes programs small for guests"),
    program("xz", "xz-utils", Group::Guest, "unpacks modules for guests"),
];

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
    packages.dedup();
    packages
}
