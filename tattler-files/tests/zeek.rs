//! Compares the observations from a conn.log with the ground truth and with the observations from the packets.
//!
//! Zeek was not available. The test writes the conn.log from packets that tshark decoded, as Zeek's documentation
//! describes the file. Needs `tshark` and the captures.

mod exchanges;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use exchanges::{Comparison, answers, contacts, homes, inward, outward, probes, read, run, truth};
use sensor_common::{Kind, Proto};

/// A capture of UDP after a hundred extension headers, which tshark reads and the parser does not. captures.rs also
/// leaves this capture out.
const LEFT_OUT: [&str; 1] = ["libpcap__ipv6_ext_headers.pcap"];

/// The columns in the order of the documentation (logs/conn).
const COLUMNS: &str = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\t\
    resp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\t\
    resp_ip_bytes\ttunnel_parents";

#[test]
fn connections_of_zeek_match_the_ground_truth() {
    let Some(captures) = exchanges::captures(&["tshark"]) else { return };
    let index = fs::read_to_string(captures.join("index.tsv")).unwrap();
    let mut comparison = Comparison::default();
    for file in index.lines().skip(1).map(|line| line.split('\t').next().unwrap()) {
        let rows = truth(&captures, file);
        if rows.is_empty() || LEFT_OUT.contains(&file) {
            continue;
        }
        let connections = connections(&captures.join(file));
        assert!(!connections.is_empty(), "{file}");
        let dir = tempfile::tempdir().unwrap();
        let logs = [("conn.log", tsv(&connections)), ("conn.json", json(&connections))].map(|(name, text)| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        });
        for home in homes(&rows) {
            let (packets, _) = read(&[captures.join(file)], home);
            for log in &logs {
                let (found, summary) = read(std::slice::from_ref(log), home);
                assert_eq!(summary.bad_lines, 0, "{file}");
                let mut same =
                    |what, found, expected| comparison.same(&format!("{file}, home {home}, {what}"), &found, &expected);
                same("tcp", contacts(&found, Proto::Tcp), outward(&rows, Kind::Syn, home));
                same("ping", contacts(&found, Proto::Icmpv6), outward(&rows, Kind::Echo, home));
                same("udp", contacts(&found, Proto::Udp), contacts(&packets, Proto::Udp));
                for kind in [Kind::Syn, Kind::Echo] {
                    same("probes", probes(&found, kind), inward(&rows, kind, home));
                    same("answers", answers(&found, kind), answers(&packets, kind));
                }
            }
        }
    }
    comparison.finish();
}

/// A line of conn.log. The originator is the first end of the connection.
struct Connection {
    ends: [(String, u16); 2],
    proto: &'static str,
    first: f64,
    last: f64,
    history: String,
    packets: [u32; 2],
}

/// Connections in the order of their ends, as in a conn.log written by Zeek.
fn connections(capture: &Path) -> Vec<Connection> {
    let fields = [
        "frame.time_epoch",
        "frame.protocols",
        "ipv6.src",
        "ipv6.dst",
        "tcp.srcport",
        "tcp.dstport",
        "tcp.flags",
        "udp.srcport",
        "udp.dstport",
        "icmpv6.type",
        "tcp.len",
    ];
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-Y", "ipv6", "-T", "fields", "-E", "occurrence=f", "-o", "ipv6.defragment:FALSE", "-r"]);
    let text = run(tshark.arg(capture).args(fields.iter().flat_map(|field| ["-e", *field])));

    let mut open: BTreeMap<_, Connection> = BTreeMap::new();
    let mut ended = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [ts, layers, src, dst, tcp_src, tcp_dst, flags, udp_src, udp_dst, icmp, len] = fields[..] else {
            panic!("{line}")
        };
        // Skip IPv6 in IPv6: a field may be from either header. IPv6 inside UDP is harmless.
        let outside = layers.split(':').take_while(|layer| *layer != "udp");
        if outside.filter(|layer| *layer == "ipv6").count() != 1 {
            continue;
        }
        let port = |text: &str| text.parse::<u16>().unwrap();
        // If an ICMPv6 error quotes a packet, tshark also shows the ports of the quoted packet. Echo requests and
        // replies are one connection.
        let (proto, ports, quiet) = match (icmp, tcp_src, udp_src) {
            ("128", ..) => ("icmp", [128, 129], 60.0),
            ("129", ..) => ("icmp", [129, 128], 60.0),
            ("", "", "") => continue,
            ("", "", _) => ("udp", [port(udp_src), port(udp_dst)], 60.0),
            ("", ..) => ("tcp", [port(tcp_src), port(tcp_dst)], 300.0),
            _ => continue,
        };
        let ts: f64 = ts.parse().unwrap();
        let flags = u16::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        let mut ends = [(src.to_owned(), ports[0]), (dst.to_owned(), ports[1])];
        let mut key = ends.clone();
        key.sort();
        let key = (proto, key);
        if open.get(&key).is_some_and(|known| ts - known.last > quiet) {
            ended.extend(open.remove(&key));
        }
        let known = open.entry(key).or_insert_with(|| {
            let is_flipped = flags & 0x12 == 0x12;
            if is_flipped {
                ends.reverse();
            }
            let history = if is_flipped { "^" } else { "" }.to_owned();
            Connection { ends: ends.clone(), proto, first: ts, last: ts, history, packets: [0, 0] }
        });
        known.last = ts;
        let is_back = known.ends[0] != (src.to_owned(), ports[0]);
        known.packets[usize::from(is_back)] += 1;
        let has_data = proto == "udp" || len != "0" && proto == "tcp";
        let letters = [
            (flags & 0x12 == 0x02, 'S'),
            (flags & 0x12 == 0x12, 'H'),
            (flags & 0x17 == 0x10 && !has_data, 'A'),
            (has_data, 'D'),
            (flags & 0x01 != 0, 'F'),
            (flags & 0x04 != 0, 'R'),
        ];
        for (_, letter) in letters.into_iter().filter(|(is_there, _)| *is_there) {
            let letter = if is_back { letter.to_ascii_lowercase() } else { letter };
            if !known.history.contains(letter) {
                known.history.push(letter);
            }
        }
    }
    ended.extend(open.into_values());
    ended.sort_by(|one, other| one.last.total_cmp(&other.last));
    ended
}

fn tsv(connections: &[Connection]) -> String {
    let mut text = format!(
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
         #open\t2026-01-01-00-00-00\n#fields\t{COLUMNS}\n"
    );
    for (number, Connection { ends: [(orig, orig_port), (resp, resp_port)], proto, first, last, history, packets }) in
        connections.iter().enumerate()
    {
        let history = if history.is_empty() { "-" } else { history };
        let duration = if last > first { format!("{:.6}", last - first) } else { "-".into() };
        let [sent, back] = packets;
        writeln!(
            text,
            "{first:.6}\tC{number}\t{orig}\t{orig_port}\t{resp}\t{resp_port}\t{proto}\t-\t{duration}\t-\t-\tOTH\t-\t-\t0\t\
             {history}\t{sent}\t0\t{back}\t0\t-"
        )
        .unwrap();
    }
    text + "#close\t2026-01-01-01-00-00\n"
}

/// Writes connections as JSON. Unset fields are left out.
fn json(connections: &[Connection]) -> String {
    let line = |Connection { ends: [orig, resp], proto, first, last, history, packets }: &Connection| {
        let mut line = serde_json::json!({
            "ts": first, "uid": "C1", "id.orig_h": orig.0, "id.orig_p": orig.1, "id.resp_h": resp.0,
            "id.resp_p": resp.1, "proto": proto, "conn_state": "OTH", "missed_bytes": 0, "orig_pkts": packets[0],
            "orig_ip_bytes": 0, "resp_pkts": packets[1], "resp_ip_bytes": 0,
        });
        if last > first {
            line["duration"] = (last - first).into();
        }
        if !history.is_empty() {
            line["history"] = history.as_str().into();
        }
        format!("{line}\n")
    };
    connections.iter().map(line).collect()
}
