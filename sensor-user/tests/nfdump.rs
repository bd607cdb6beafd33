//! Flow records that nfdump's own programs make of captures, against nfdump's counts, tshark's SYNs
//! and what comes of the packets themselves.
//!
//! Runs where `nfpcapd` and `nfdump` are installed and the captures are there; see captures.rs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipnet::Ipv6Net;
use sensor_common::{Kind, Proto};
use sensor_user::observation::Observation;
use sensor_user::source::{self, Input, Options, Summary};

/// Captures, and what is to be taken for home in each: where the traffic is from, and, as if it came
/// in, where it goes to.
const CAPTURES: [(&str, &str); 7] = [
    ("nDPI__reddit.pcap", "2a01:cb01:2049::/48"),
    ("nDPI__pinterest.pcap", "2a01:cb01:2049::/48"),
    ("nDPI__sites.pcapng", "2001:b07:a3d::/48"),
    ("nDPI__tumblr.pcap", "2a01:cb01:2049::/48"),
    ("nDPI__http_ipv6.pcap", "2a00:d40:1::/48"),
    ("nDPI__reddit.pcap", "2a00:1450::/32"),
    ("nDPI__tumblr.pcap", "2a00:1450::/32"),
];

/// (local, remote, port)
type Exchange = (String, String, u16);

#[test]
fn flows_of_a_capture_tell_what_its_packets_tell() {
    let Some(captures) = captures() else { return };
    let (mut told, mut probed) = (0, 0);
    for (file, home) in CAPTURES {
        let capture = captures.join(file);
        let flows = tempfile::tempdir().unwrap();
        run(Command::new("nfpcapd").arg("-r").arg(&capture).arg("-w").arg(flows.path()));
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(flows.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let csv = run(Command::new("nfdump").arg("-R").arg(flows.path()).args(["-o", "csv"]).env("TZ", "UTC"));
        // Not beside them: nfdump reads all that is in their directory.
        let csv_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&csv_file, csv).unwrap();

        let home: Ipv6Net = home.parse().unwrap();
        let (packets, _) = read(&[capture], home);
        let (of_nfcapd, summary) = read(&files, home);
        let (of_csv, csv_summary) = read(&[csv_file.path().to_owned()], home);

        // nfdump counts the records itself.
        let filter = "ipv6 and (proto tcp or proto udp)";
        let listed = run(Command::new("nfdump").arg("-R").arg(flows.path()).args(["-q", "-o", "csv", filter]));
        let counted = listed.lines().filter(|line| line.contains(',') && !line.starts_with("ts,")).count() as u64;
        let echoes = "ipv6 and proto icmp6 and (icmp-type 128 or icmp-type 129)";
        let listed = run(Command::new("nfdump").arg("-R").arg(flows.path()).args(["-q", "-o", "csv", echoes]));
        let echoes = listed.lines().filter(|line| line.contains("ICMP6")).count() as u64;
        assert_eq!((summary.lines_of_use, summary.bad_lines), (counted + echoes, 0), "{file}");
        assert_eq!((csv_summary.lines_of_use, csv_summary.bad_lines), (counted + echoes, 0), "{file}");

        // tshark found the SYNs.
        assert_eq!(
            contacts(&of_nfcapd, Proto::Tcp),
            syns(&captures, file, |src, dst| home.contains(src) && !home.contains(dst)),
            "{file}"
        );
        assert_eq!(
            probes(&of_nfcapd),
            syns(&captures, file, |src, dst| home.contains(dst) && !home.contains(src))
                .into_iter()
                .map(turned)
                .collect(),
            "{file}"
        );
        for (name, flows) in [("nfcapd", &of_nfcapd), ("csv", &of_csv)] {
            assert_eq!(contacts(flows, Proto::Tcp), contacts(&packets, Proto::Tcp), "{file}, {name}");
            assert_eq!(contacts(flows, Proto::Udp), contacts(&packets, Proto::Udp), "{file}, {name}");
            assert_eq!(probes(flows), probes(&packets), "{file}, {name}");
            assert_eq!(answers(flows), answers(&packets), "{file}, {name}");
        }
        told += of_nfcapd.len();
        probed += answers(&of_nfcapd).len();
    }
    assert!(told > 70 && probed > 5, "{told} observations, {probed} of probes answered");
    println!("{told} observations of flows agree with those of packets");
}

fn turned((src, dst, port): Exchange) -> Exchange {
    (dst, src, port)
}

fn contacts(observations: &[Observation], proto: Proto) -> BTreeSet<Exchange> {
    let of = |observation: &Observation| match observation {
        Observation::Contact(contact) if contact.proto == proto => {
            Some((contact.local.to_string(), contact.remote.to_string(), contact.port))
        }
        _ => None,
    };
    observations.iter().filter_map(of).collect()
}

fn probes(observations: &[Observation]) -> BTreeSet<Exchange> {
    let of = |observation: &Observation| match observation {
        Observation::Probe(probe) if probe.kind == Kind::Syn => {
            Some((probe.target.to_string(), probe.source.to_string(), probe.port))
        }
        _ => None,
    };
    observations.iter().filter_map(of).collect()
}

fn answers(observations: &[Observation]) -> BTreeSet<Exchange> {
    let of = |observation: &Observation| match observation {
        Observation::Answer(answer) if answer.kind == Kind::Syn => {
            Some((answer.target.to_string(), answer.source.to_string(), answer.port))
        }
        _ => None,
    };
    observations.iter().filter_map(of).collect()
}

/// SYNs of a file between global addresses, by the ground truth: (source, destination, port).
fn syns(
    captures: &Path,
    file: &str,
    wanted: impl Fn(&std::net::Ipv6Addr, &std::net::Ipv6Addr) -> bool,
) -> BTreeSet<Exchange> {
    let text = std::fs::read_to_string(captures.join("truth.jsonl")).unwrap();
    let of = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let address = |key: &str| row[key].as_str().unwrap().parse::<std::net::Ipv6Addr>().unwrap();
        let (src, dst) = (address("src"), address("dst"));
        let is_global = |address: &std::net::Ipv6Addr| address.segments()[0] >> 13 == 1;
        let is_wanted = row["file"] == file && row["kind"] == "tcp_syn" && is_global(&src) && is_global(&dst);
        (is_wanted && wanted(&src, &dst))
            .then(|| (src.to_string(), dst.to_string(), row["dport"].as_u64().unwrap() as u16))
    };
    text.lines().filter_map(of).collect()
}

fn read(files: &[PathBuf], home: Ipv6Net) -> (Vec<Observation>, Summary) {
    let inputs: Vec<Input> = files.iter().map(|file| Input::from_argument(file.as_os_str())).collect();
    let options = Options { home: vec![home], ..Options::default() };
    let mut observations = Vec::new();
    let summary =
        source::read(&inputs, &options, &mut |one| observations.push(one), &mut |fault| panic!("{fault}")).unwrap();
    (observations, summary)
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// As in captures.rs; `None`, with a line that says so, if they or nfdump are not here.
fn captures() -> Option<PathBuf> {
    let captures = match std::env::var_os("TATTLER_CAPTURES") {
        Some(named) => PathBuf::from(named),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"),
    };
    let is_here = |program: &str| Command::new(program).arg("-h").output().is_ok();
    if !captures.join("truth.jsonl").is_file() || !is_here("nfpcapd") || !is_here("nfdump") {
        println!("not run: needs the captures, see captures.rs, and nfpcapd and nfdump");
        return None;
    }
    Some(captures)
}
