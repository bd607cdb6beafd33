//! `tattler packets` on captures that others made. The output is compared with a ground truth, which others also made,
//! with tshark, and checked with a second parser.
//!
//! The tests in sensor-common use crafted frames and need no captures.

#[path = "../../tests/src/captures.rs"]
mod captures;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The name of a file and the number of a frame in the file.
type Place = (String, u64);

/// Rows of the ground truth that the parser does not output. The authors of the ground truth call each of these
/// rows ambiguous.
const EXCEPTIONS: [(&str, u64, &str); 1] =
    [("libpcap__ipv6_ext_headers.pcap", 1, "UDP behind a hundred extension headers; the parser reads eight")];

/// Files whose link type is not supported, and the text that the error must contain.
const UNSUPPORTED: [(&str, &str); 2] = [
    ("tcpdump__OSPFv3_NBMA_adjacencies.pcap", "link type 107"), // frame relay
    ("tcpdump__OSPFv3_multipoint_adjacencies.pcap", "link type 107"),
];

/// Frames that are marked as IPv6 but contain something else. `tattler packets` prints these frames with the reason;
/// tshark finds no IPv6 in these frames.
const NO_IPV6_TO_TSHARK: [(&str, u64, &str); 5] = [
    ("tcpdump__beep-oobr.pcap", 1, "bad_version"),
    ("tcpdump__hoobr_rt6_print.pcap", 1, "bad_version"),
    ("tcpdump__hoobr_rt6_print.pcap", 2, "bad_version"),
    ("tcpdump__ipv6-bad-version.pcap", 2, "bad_version"),
    ("tcpdump__ipv6-bad-version.pcap", 4, "bad_version"),
];

#[test]
fn every_row_of_the_ground_truth_comes_out_and_no_other_probe() {
    let Some(captures) = captures::directory() else { return };
    let files = index(&captures);
    let printed = packets(&captures, files.keys());

    let mut wrong = Vec::new();
    let mut missed = BTreeSet::new();
    let truth = truth(&captures);
    for (place, expected) in &truth {
        match printed.get(place).map(comparable) {
            Some(found) if found == *expected => {}
            found => {
                missed.insert(place.clone());
                if !is_excepted(place) {
                    let found = found.map_or("nothing".into(), |found| found.to_string());
                    wrong.push(format!("{place:?}: {found}, not {expected}"));
                }
            }
        }
    }
    let extra = printed.iter().filter(|(place, packet)| packet["kind"] != Value::Null && !truth.contains_key(*place));
    wrong.extend(extra.map(|(place, packet)| format!("{place:?}: {packet}, which is not in the ground truth")));
    for (file, frame, reason) in EXCEPTIONS {
        if !missed.contains(&(file.to_owned(), frame)) {
            wrong.push(format!("{file}, frame {frame}: no exception any more ({reason})"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), truth.len(), wrong.join("\n"));
    println!("{} rows of {} files agree, {} exceptions", truth.len() - missed.len(), files.len(), missed.len());
}

#[test]
fn there_is_a_line_for_each_ipv6_packet_with_its_link_layers() {
    let Some(captures) = captures::directory() else { return };
    let files = index(&captures);
    let printed = packets(&captures, files.keys());
    for (file, frame, reason) in NO_IPV6_TO_TSHARK {
        assert_eq!(printed[&(file.to_owned(), frame)]["gave_up"], reason, "{file}, frame {frame}");
    }
    let mut links: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    for ((file, frame), packet) in &printed {
        if !NO_IPV6_TO_TSHARK.iter().any(|(no, at, _)| (no, at) == (&file.as_str(), frame)) {
            *links.entry(file).or_default().entry(packet["link"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    for (file, expected) in &files {
        assert_eq!(links.get(file.as_str()).unwrap_or(&BTreeMap::new()), expected, "{file}");
    }
}

#[test]
fn every_capture_is_read_to_its_end_or_says_why_not() {
    let Some(captures) = captures::directory() else { return };
    for file in index(&captures).keys() {
        let output = tattler().arg("packets").arg(captures.join(file)).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        match UNSUPPORTED.iter().find(|(name, _)| name == file) {
            None => assert!(output.status.success() && told.is_empty(), "{file}: {told}"),
            Some((_, what)) => {
                assert_eq!(output.status.code(), Some(1), "{file}");
                assert!(told.contains(what) && told.lines().count() == 1, "{file}: {told}");
            }
        }
    }
}

/// The fields of a packet that both the ground truth and the parser have.
fn comparable(packet: &Value) -> Value {
    json!({
        "kind": packet["kind"], "src": packet["src"], "dst": packet["dst"], "port": packet["port"],
        "hop_limit": packet["hop_limit"], "link": packet["link"], "ext": packet["ext"],
    })
}

fn truth(captures: &Path) -> BTreeMap<Place, Value> {
    let text = std::fs::read_to_string(captures.join("truth.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let kind = match row["kind"].as_str().unwrap() {
            "echo_request" => "echo",
            "tcp_syn" => "syn",
            kind => kind,
        };
        // tshark names no layer before the header of LINKTYPE_IPV6.
        let link = row["encap"].as_str().filter(|link| !link.is_empty()).unwrap_or("raw");
        let expected = json!({
            "kind": kind, "src": row["src"], "dst": row["dst"], "port": row["dport"],
            "hop_limit": row["hop_limit"], "link": link, "ext": row["ext"],
        });
        (place(&row), expected)
    });
    rows.collect()
}

/// Number of frames with IPv6, by file and link layers. Frames in other tunnels are left out.
fn index(captures: &Path) -> BTreeMap<String, BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(captures.join("index.tsv")).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name| header.iter().position(|&column| column == name).unwrap();
    let (file, encap) = (column("file"), column("encap"));
    let link = |part: &str| {
        let (link, count) = part.trim().rsplit_once(':')?;
        // The index uses "none(" for LINKTYPE_IPV6, where nothing precedes the IPv6 header.
        let link = if link.starts_with("none(") { "raw" } else { link };
        Some((link.to_owned(), count.parse().ok()?))
    };
    lines.map(|line| (line[file].to_owned(), line[encap].split([',', ';', ' ']).filter_map(link).collect())).collect()
}

/// The complete output of `tattler packets` for `files`.
fn packets<'a>(captures: &Path, files: impl Iterator<Item = &'a String>) -> BTreeMap<Place, Value> {
    let output = tattler().arg("packets").args(files.map(|file| captures.join(file))).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().map(|line| {
        let packet: Value = serde_json::from_str(line).unwrap();
        (place(&packet), packet)
    });
    rows.collect()
}

fn place(row: &Value) -> Place {
    let name = Path::new(row["file"].as_str().unwrap()).file_name().unwrap();
    (name.to_str().unwrap().to_owned(), row["frame"].as_u64().unwrap())
}

fn is_excepted(place: &Place) -> bool {
    EXCEPTIONS.iter().any(|(file, frame, _)| (*file, *frame) == (place.0.as_str(), place.1))
}

fn tattler() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tattler"))
}
