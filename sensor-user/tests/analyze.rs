//! `tattler analyze` from end to end: finds a harvester among sites that all locals visit. The input is observations
//! or packets, in files or on standard input, plain or compressed.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const HARVESTER: &str = "2a05::53";
const SCANNER: &str = "2a0d:5600::29";
const HOUR: u64 = 3_600;
const START: u64 = 1_788_220_800; // 2026-09-01T00:00:00Z

/// One SYN: seconds since [`START`], source, destination, destination port.
type Syn = (u64, String, String, u16);

/// Forty locals visit sites. Every third also visits the harvester and is probed an hour later.
fn traffic() -> Vec<Syn> {
    let mut syns = Vec::new();
    for n in 0..40_u64 {
        let local = format!("2001:db8:1:2:{:x}:{:x}:5e49:ecb3", 0x4014 + n * 977, 0x9a1f + n * 31);
        let start = n * 2 * HOUR;
        for site in 0..4 {
            syns.push((start + site * 60, local.clone(), format!("2a02:{:x}::1", (n * 3 + site * 5) % 20 + 1), 443));
        }
        if n % 3 == 0 {
            syns.push((start + 300, local.clone(), HARVESTER.into(), 123));
            syns.push((start + 300 + HOUR, SCANNER.into(), local, 22));
        }
    }
    syns.sort();
    syns
}

fn json_lines() -> String {
    let line = |(second, src, dst, port): Syn| {
        let ts = jiff::Timestamp::from_second((START + second) as i64).unwrap();
        if src == SCANNER {
            format!(r#"{{"type":"probe","ts":"{ts}","source":"{src}","target":"{dst}","kind":"syn","port":{port}}}"#)
        } else {
            format!(r#"{{"type":"contact","ts":"{ts}","local":"{src}","remote":"{dst}","proto":"tcp","port":{port}}}"#)
        }
    };
    traffic().into_iter().map(|syn| line(syn) + "\n").collect()
}

fn pcap() -> Vec<u8> {
    let address = |text: String| text.parse().unwrap();
    common::pcap(
        traffic().into_iter().map(|(second, src, dst, port)| (START + second, address(src), address(dst), port)),
    )
}

fn analyze(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tattler"))
        .arg("analyze")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads files closes standard input.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn report(arguments: &[&str], stdin: &[u8]) -> Value {
    let output = analyze(&[&["--format", "json"], arguments].concat(), stdin);
    // Standard error must name the inferred home.
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_asked = arguments.iter().any(|argument| argument.ends_with("uplink.pcap") || argument.contains("part"));
    assert!(
        output.status.success() && stderr.starts_with("tattler: home is 2001:db8:1::/48") == is_asked,
        "{output:?}"
    );
    assert!(stderr.lines().count() == usize::from(is_asked), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn names_the_harvester(report: &Value) {
    assert_eq!(report["schema"], "tattler.report/1");
    assert_eq!((&report["locals"], &report["probed_locals"], &report["probes"]), (&40.into(), &14.into(), &14.into()));
    assert_eq!(report["candidates"][0]["members"], serde_json::json!([HARVESTER]), "{report:#}");
    assert_eq!(report["candidates"][0]["distinct_count"], 14);
}

#[test]
fn observations_and_packets_lead_to_the_same_harvester() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let lines = json_lines();
    let from_lines = report(&[&write("lines", lines.as_bytes())], b"");
    names_the_harvester(&from_lines);
    assert_eq!(report(&["-"], lines.as_bytes()), from_lines);
    let zstd = ruzstd::encoding::compress_to_vec(lines.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    assert_eq!(report(&["-"], &zstd), from_lines);

    let capture = pcap();
    let found = report(&[&write("uplink.pcap", &capture)], b"");
    names_the_harvester(&found);
    assert_eq!(report(&["--home", "2001:db8:1::/48", "-"], &capture), found);
    // Split the capture as `tcpdump -C` does.
    let frames = capture[24..].chunks(76 * 50).map(|frames| [&capture[..24], frames].concat());
    let parts: Vec<String> = frames.enumerate().map(|(n, part)| write(&format!("part{n}"), &part)).collect();
    assert!(parts.len() > 2);
    assert_eq!(report(&parts.iter().map(String::as_str).collect::<Vec<_>>(), b""), found);
}

#[test]
fn since_and_until_bound_what_counts() {
    let lines = json_lines();
    let day = report(&["--since", "2026-09-02", "--until", "2026-09-02T23:59:59Z", "-"], lines.as_bytes());
    assert_eq!(day["locals"], 12);
    assert_eq!(day["window"]["from"], "2026-09-02T00:00:00.000Z");
    let none = report(&["--since", "2027-01-01", "-"], lines.as_bytes());
    assert_eq!((&none["locals"], &none["window"]["from"]), (&0.into(), &Value::Null));
}

#[test]
fn top_bounds_the_list_and_the_default_is_a_table() {
    let lines = json_lines();
    assert_eq!(report(&["--top", "1", "-"], lines.as_bytes())["candidates"].as_array().unwrap().len(), 1);
    let all = report(&["--top", "0", "-"], lines.as_bytes());
    assert!(all["candidates"].as_array().unwrap().len() > 1);
    let table = String::from_utf8(analyze(&["-"], lines.as_bytes()).stdout).unwrap();
    assert!(table.contains(HARVESTER), "{table}");
}

#[test]
fn files_give_the_evidence_about_one_remote() {
    let lines = json_lines();
    let from_lines = report(&["--explain", HARVESTER, "-"], lines.as_bytes());
    assert_eq!(from_lines["candidate"]["members"], serde_json::json!([HARVESTER]));
    assert_eq!(from_lines["visits"].as_array().unwrap().len(), 14);
    let text = analyze(&["--explain", HARVESTER, "-"], lines.as_bytes()).stdout;
    assert!(String::from_utf8(text).unwrap().starts_with("2a05::53: "));
    let csv = analyze(&["--explain", HARVESTER, "--format", "csv", "-"], lines.as_bytes()).stdout;
    assert_eq!(String::from_utf8(csv).unwrap().lines().filter(|line| line.ends_with(",true,false")).count(), 14);
}
