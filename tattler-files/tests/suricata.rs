//! Compares observations from records written by Suricata with Suricata's own counts, the counts of tshark, and the
//! observations from the packets.
//!
//! One test reads the few lines in `data/eve.json`. Another test runs `suricata` on all captures, if both exist;
//! 7.0.10 of bookworm-backports was used.

mod exchanges;

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;

use exchanges::{Comparison, answers, contacts, homes, inward, outward, probes, read, run, truth};
use sensor_common::{Kind, Proto};
use serde_json::Value;
use tattler_core::observation::Observation;

const SETTINGS: &str = "%YAML 1.1\n---\n\
    vars: { address-groups: { HOME_NET: any, EXTERNAL_NET: any } }\n\
    outputs: [ { eve-log: { enabled: yes, filetype: regular, filename: eve.json, types: [alert, flow] } } ]\n";

/// Rules that give an alert for each SYN and echo request.
const RULES: &str = "alert tcp any any -> any any (msg:\"SYN\"; flags:S,12; sid:1;)\n\
    alert icmp any any -> any any (msg:\"echo\"; itype:128; sid:2;)\n";

/// Captures with packets that Suricata refuses to decode. tshark and the parser decode these packets.
const REFUSED: [&str; 3] = [
    "tcpdump__ipv6_invalid_length_2.pcap",
    "tcpdump__ipv6_jumbogram_1.pcap",
    "tcpdump__ipv6_jumbogram_invalid_length.pcap",
];

/// Lines that `suricata -c suricata.yaml -S all.rules -k none --runmode single -r 6in4tunnel.pcap -l .` wrote with
/// the settings and rules above, and an alert for UDP. The capture is in tests/cfgs/default/pcap of nDPI.
const FEW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/eve.json");

#[test]
fn real_lines_are_read_with_home_at_both_ends() {
    let found = |home: &str| {
        let (observations, summary) = read(&[FEW.into()], home.parse().unwrap());
        assert_eq!((summary.lines, summary.bad_lines), (11, 0));
        observations
    };
    let at = |local: &str, remote: &str, port| (local.parse().unwrap(), remote.parse().unwrap(), port);
    let (host, gateway) = ("2001:470:1f17:13f:3e97:eff:fe73:4dec", "2001:470:1f16:13f::2");
    let (server, site) = ("2604:a880:1:20::224:b001", "2a03:2880:1010:6f03:face:b00c:0:2");
    let resolver = "2a03:2880:fffe:b:face:b00c:0:99";

    let outward = found("2001:470:1f16::/47");
    assert_eq!(contacts(&outward, Proto::Tcp), [at(host, server, 443), at(host, site, 443)].into());
    assert_eq!(contacts(&outward, Proto::Udp), [at(gateway, resolver, 53)].into());
    assert_eq!(contacts(&outward, Proto::Icmpv6), [at(host, server, 0)].into());
    assert_eq!(outward.iter().filter(|one| !matches!(one, Observation::Contact(_))).count(), 0);

    // With home at the server, the alert for a reply is not a probe of the resolver.
    let inward = found("2604:a880:1::/48");
    assert_eq!(probes(&inward, Kind::Syn), [at(server, host, 443)].into());
    assert_eq!(probes(&inward, Kind::Echo), [at(server, host, 0)].into());
    assert_eq!(answers(&inward, Kind::Syn), [at(server, host, 443)].into());
    assert_eq!(answers(&inward, Kind::Echo), [at(server, host, 0)].into());
    assert_eq!(found("2a03:2880:1010::/48").iter().filter(|one| matches!(one, Observation::Probe(_))).count(), 1);
}

#[test]
#[ignore = "needs suricata, which Debian 12 has only in its backports; run it with --include-ignored"]
fn flows_and_alerts_make_the_observations_of_the_packets() {
    let Some(captures) = exchanges::captures(&["suricata"]) else { return };
    let index = fs::read_to_string(captures.join("index.tsv")).unwrap();
    let mut comparison = Comparison::default();
    for file in index.lines().skip(1).map(|line| line.split('\t').next().unwrap()) {
        let rows = truth(&captures, file);
        if rows.is_empty() || REFUSED.contains(&file) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let lines = suricata(&captures.join(file), dir.path());
        let [flows, alerts] = ["flow", "alert"].map(|kind| {
            let of_kind: Vec<&Value> = lines.iter().filter(|line| line["event_type"] == kind).collect();
            let path = dir.path().join(kind);
            fs::write(&path, of_kind.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            path
        });
        // Suricata's own counts: each packet has an alert.
        let is_global = |line: &Value, key: &str| {
            line[key].as_str().and_then(|ip| ip.parse::<Ipv6Addr>().ok()).is_some_and(|ip| ip.segments()[0] >> 13 == 1)
        };
        for (id, kind) in [(1, Kind::Syn), (2, Kind::Echo)] {
            let is_one = |line: &&Value| {
                line["alert"]["signature_id"] == id && is_global(line, "src_ip") && is_global(line, "dest_ip")
            };
            let (alerted, found) =
                (lines.iter().filter(is_one).count(), rows.iter().filter(|row| row.kind == kind).count());
            if alerted != found {
                comparison.wrong.push(format!("{file}: {alerted} alerts, not {found} of {kind:?}"));
            }
        }
        for home in homes(&rows) {
            let [packets, of_flows, of_alerts] = [&captures.join(file), &flows, &alerts].map(|path| {
                // The reader refuses an empty file.
                if fs::metadata(path).unwrap().len() > 0 {
                    read(std::slice::from_ref(path), home).0
                } else {
                    Vec::new()
                }
            });
            let mut same = |what: &str, found, expected| {
                comparison.same(&format!("{file}, home {home}, {what}"), &found, &expected);
            };
            for (name, found) in [("flow", &of_flows), ("alert", &of_alerts)] {
                same(&format!("{name} tcp"), contacts(found, Proto::Tcp), outward(&rows, Kind::Syn, home));
                same(&format!("{name} syn"), probes(found, Kind::Syn), inward(&rows, Kind::Syn, home));
                same(&format!("{name} echo"), probes(found, Kind::Echo), inward(&rows, Kind::Echo, home));
                same(&format!("{name} ping"), contacts(found, Proto::Icmpv6), outward(&rows, Kind::Echo, home));
            }
            same("udp", contacts(&of_flows, Proto::Udp), contacts(&packets, Proto::Udp));
            for kind in [Kind::Syn, Kind::Echo] {
                same("answers", answers(&of_flows, kind), answers(&packets, kind));
            }
        }
    }
    comparison.finish();
}

/// Runs Suricata on a capture. Returns the records.
fn suricata(capture: &Path, dir: &Path) -> Vec<Value> {
    let files = [("suricata.yaml", SETTINGS), ("all.rules", RULES), ("empty", "")];
    let [settings, rules, empty] = files.map(|(name, text)| {
        fs::write(dir.join(name), text).unwrap();
        dir.join(name)
    });
    let files = ["classification-file", "reference-config-file", "threshold-file"];
    let [c, s, r, l] = ["-c", "-S", "-r", "-l"].map(Path::new);
    run(Command::new("suricata")
        .args(["-k", "none", "--runmode", "single"])
        .args(files.map(|name| format!("--set={name}={}", empty.display())))
        .args([c, &settings, s, &rules, r, capture, l, dir]));
    let text = fs::read_to_string(dir.join("eve.json")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
