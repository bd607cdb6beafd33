//! Observations as sets, for comparison with the counts of other programs.

#![allow(dead_code, reason = "each test file is a program of its own and uses a part of it")]

#[path = "../../../tests/src/captures.rs"]
mod captures;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipnet::Ipv6Net;
use sensor_common::{Kind, Proto};
use tattler_core::observation::Observation;
use tattler_files::{Input, ReadOptions, ReadSummary};

/// An exchange: local, remote and port.
pub type Exchange = (Ipv6Addr, Ipv6Addr, u16);

pub fn contacts(observations: &[Observation], proto: Proto) -> BTreeSet<Exchange> {
    let of = |one: &Observation| match one {
        Observation::Contact(one) if one.proto == proto => Some((one.local, one.remote, one.port)),
        _ => None,
    };
    observations.iter().filter_map(of).collect()
}

pub fn probes(observations: &[Observation], kind: Kind) -> BTreeSet<Exchange> {
    let of = |one: &Observation| match one {
        Observation::Probe(one) if one.kind == kind => Some((one.target, one.source, one.port)),
        _ => None,
    };
    observations.iter().filter_map(of).collect()
}

pub fn answers(observations: &[Observation], kind: Kind) -> BTreeSet<Exchange> {
    let of = |one: &Observation| match one {
        Observation::Answer(one) if one.kind == kind => Some((one.target, one.source, one.port)),
        _ => None,
    };
    observations.iter().filter_map(of).collect()
}

/// Compares the exchanges of many captures.
#[derive(Default)]
pub struct Comparison {
    compared: usize,
    pub wrong: Vec<String>,
}

impl Comparison {
    pub fn same(&mut self, what: &str, found: &BTreeSet<Exchange>, expected: &BTreeSet<Exchange>) {
        self.compared += expected.len();
        self.wrong.extend(found.symmetric_difference(expected).map(|exchange| format!("{what}: {exchange:?}")));
    }

    pub fn finish(self) {
        let Comparison { compared, wrong } = self;
        assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(compared > 300, "{compared}");
        println!("{compared} exchanges agree");
    }
}

/// A packet that tshark found: a SYN, echo request or UDP packet between global addresses.
pub struct Row {
    pub kind: Kind,
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    /// The port. 0 for echo requests.
    pub port: u16,
}

/// The rows of a file in the ground truth.
pub fn truth(captures: &Path, file: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(captures.join("truth.jsonl")).unwrap();
    let of = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let address = |key: &str| row[key].as_str().unwrap().parse::<Ipv6Addr>().unwrap();
        let (src, dst) = (address("src"), address("dst"));
        let is_global = |address: &Ipv6Addr| address.segments()[0] >> 13 == 1;
        let kind = match row["kind"].as_str().unwrap() {
            "tcp_syn" => Kind::Syn,
            "echo_request" => Kind::Echo,
            _ => Kind::Udp,
        };
        let port = row["dport"].as_u64().unwrap_or(0) as u16;
        (row["file"] == file && is_global(&src) && is_global(&dst)).then_some(Row { kind, src, dst, port })
    };
    text.lines().filter_map(of).collect()
}

/// The exchanges from `home` to others, according to the ground truth.
pub fn outward(rows: &[Row], kind: Kind, home: Ipv6Net) -> BTreeSet<Exchange> {
    let is_out = |row: &&Row| row.kind == kind && home.contains(&row.src) && !home.contains(&row.dst);
    rows.iter().filter(is_out).map(|row| (row.src, row.dst, row.port)).collect()
}

/// The exchanges from others to `home`, according to the ground truth.
pub fn inward(rows: &[Row], kind: Kind, home: Ipv6Net) -> BTreeSet<Exchange> {
    let is_in = |row: &&Row| row.kind == kind && home.contains(&row.dst) && !home.contains(&row.src);
    rows.iter().filter(is_in).map(|row| (row.dst, row.src, row.port)).collect()
}

/// Each /48 of the rows, for use as home in turn. In this way, each exchange of a capture is outbound once and
/// inbound once.
pub fn homes(rows: &[Row]) -> BTreeSet<Ipv6Net> {
    let net = |address| Ipv6Net::new(address, 48).unwrap().trunc();
    rows.iter().flat_map(|row| [net(row.src), net(row.dst)]).collect()
}

/// Reads files without bad lines. The files may have no IPv6.
pub fn read(files: &[PathBuf], home: Ipv6Net) -> (Vec<Observation>, ReadSummary) {
    let inputs: Vec<Input> = files.iter().map(|file| Input::from_argument(file.as_os_str())).collect();
    let options = ReadOptions { home: vec![home], ..ReadOptions::default() };
    let mut observations = Vec::new();
    let summary = tattler_files::read(&inputs, &options, &mut |one| observations.push(one), &mut |fault| {
        let fault = fault.to_string();
        assert!(fault.contains("has no IPv6 packet or flow"), "{fault}");
    })
    .unwrap();
    (observations, summary)
}

pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The directory of the captures, if the directory exists. The programs must exist; `cargo xtask test` installs the
/// programs.
pub fn captures(programs: &[&str]) -> Option<PathBuf> {
    let captures = captures::directory()?;
    for program in programs {
        Command::new(program).arg("-h").output().unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    }
    Some(captures)
}
