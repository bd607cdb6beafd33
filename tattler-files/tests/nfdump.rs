//! Compares observations from flow records with three references: the counts of nfdump, the SYNs of tshark, and the
//! observations from the packets. nfpcapd makes the flow records from captures.
//!
//! Needs `nfpcapd`, `nfdump` and the captures; see captures.rs.

mod exchanges;

use std::path::PathBuf;
use std::process::Command;

use exchanges::{answers, contacts, inward, outward, probes, read, run, truth};
use ipnet::Ipv6Net;
use sensor_common::{Kind, Proto};

/// Captures, each with a home prefix: the prefix of the clients, or the prefix of the servers, as if the traffic were
/// inbound.
const CAPTURES: [(&str, &str); 7] = [
    ("nDPI__reddit.pcap", "2a01:cb01:2049::/48"),
    ("nDPI__pinterest.pcap", "2a01:cb01:2049::/48"),
    ("nDPI__sites.pcapng", "2001:b07:a3d::/48"),
    ("nDPI__tumblr.pcap", "2a01:cb01:2049::/48"),
    ("nDPI__http_ipv6.pcap", "2a00:d40:1::/48"),
    ("nDPI__reddit.pcap", "2a00:1450::/32"),
    ("nDPI__tumblr.pcap", "2a00:1450::/32"),
];

#[test]
fn flows_of_a_capture_make_the_observations_of_its_packets() {
    let Some(captures) = exchanges::captures(&["nfpcapd", "nfdump"]) else { return };
    let (mut found, mut probed) = (0, 0);
    for (file, home) in CAPTURES {
        let capture = captures.join(file);
        let flows = tempfile::tempdir().unwrap();
        run(Command::new("nfpcapd").arg("-r").arg(&capture).arg("-w").arg(flows.path()));
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(flows.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let csv = run(Command::new("nfdump").arg("-R").arg(flows.path()).args(["-o", "csv"]).env("TZ", "UTC"));
        // The CSV file is in another directory, because nfdump reads all files next to the flows.
        let csv_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&csv_file, csv).unwrap();

        let home: Ipv6Net = home.parse().unwrap();
        let (packets, _) = read(&[capture], home);
        let (of_nfcapd, summary) = read(&files, home);
        let (of_csv, csv_summary) = read(&[csv_file.path().to_owned()], home);

        // Compare with the counts of nfdump.
        let filter = "ipv6 and (proto tcp or proto udp)";
        let listed = run(Command::new("nfdump").arg("-R").arg(flows.path()).args(["-q", "-o", "csv", filter]));
        let counted = listed.lines().filter(|line| line.contains(',') && !line.starts_with("ts,")).count() as u64;
        let echoes = "ipv6 and proto icmp6 and (icmp-type 128 or icmp-type 129)";
        let listed = run(Command::new("nfdump").arg("-R").arg(flows.path()).args(["-q", "-o", "csv", echoes]));
        let echoes = listed.lines().filter(|line| line.contains("ICMP6")).count() as u64;
        assert_eq!((summary.lines_of_use, summary.bad_lines), (counted + echoes, 0), "{file}");
        assert_eq!((csv_summary.lines_of_use, csv_summary.bad_lines), (counted + echoes, 0), "{file}");

        // Compare with the SYNs of tshark.
        let rows = truth(&captures, file);
        assert_eq!(contacts(&of_nfcapd, Proto::Tcp), outward(&rows, Kind::Syn, home), "{file}");
        assert_eq!(probes(&of_nfcapd, Kind::Syn), inward(&rows, Kind::Syn, home), "{file}");
        for (name, flows) in [("nfcapd", &of_nfcapd), ("csv", &of_csv)] {
            assert_eq!(contacts(flows, Proto::Tcp), contacts(&packets, Proto::Tcp), "{file}, {name}");
            assert_eq!(contacts(flows, Proto::Udp), contacts(&packets, Proto::Udp), "{file}, {name}");
            assert_eq!(probes(flows, Kind::Syn), probes(&packets, Kind::Syn), "{file}, {name}");
            assert_eq!(answers(flows, Kind::Syn), answers(&packets, Kind::Syn), "{file}, {name}");
        }
        found += of_nfcapd.len();
        probed += answers(&of_nfcapd, Kind::Syn).len();
    }
    assert!(found > 70 && probed > 5, "{found} observations, {probed} of probes answered");
    println!("{found} observations of flows agree with those of packets");
}
