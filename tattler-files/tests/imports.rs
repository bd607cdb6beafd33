//! Tests of the observations from logs and flow records of other programs.
//!
//! The lines follow the kernel (Linux 6, net/netfilter/nf_log_syslog.c), the documentation of Zeek and Suricata
//! (suricata.rs has lines written by Suricata), and conntrack-tools 1.4.

use std::fs;
use std::path::Path;

use jiff::tz::TimeZone;
use sensor_common::{Kind, Proto};
use tattler_core::observation::Observation;
use tattler_core::time::Time;
use tattler_files::{Input, ReadOptions, ReadSummary};

const LOCAL: &str = "2001:db8:1:2:e014:9aff:5e49:ecb3";
const LOCAL_FULL: &str = "2001:0db8:0001:0002:e014:9aff:5e49:ecb3";
const SCANNER_FULL: &str = "2a0d:5600:0000:0000:0000:0000:0000:0029";
const SITE_FULL: &str = "2a02:0001:0000:0000:0000:0000:0000:0001";

fn time(text: &str) -> Time {
    Time(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn options() -> ReadOptions {
    ReadOptions {
        home: vec!["2001:db8:1::/48".parse().unwrap()],
        zone: Some(TimeZone::fixed(jiff::tz::offset(1))),
        now: Some(time("2026-11-20T12:00:00Z")),
        ..ReadOptions::default()
    }
}

struct Reading {
    /// The observations, each as a short line.
    observed: Vec<String>,
    faults: Vec<String>,
    summary: ReadSummary,
    observations: Vec<Observation>,
}

fn read_files(files: &[&Path], options: &ReadOptions) -> Result<Reading, tattler_files::ReadError> {
    let inputs: Vec<Input> = files.iter().map(|file| Input::from_argument(file.as_os_str())).collect();
    let (mut observations, mut faults) = (Vec::new(), Vec::new());
    let summary = tattler_files::read(&inputs, options, &mut |one| observations.push(one), &mut |fault| {
        faults.push(fault.to_string());
    })?;
    let observed = observations.iter().map(short).collect();
    Ok(Reading { observed, faults, summary, observations })
}

fn read(text: &str, options: &ReadOptions) -> Reading {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    read_files(&[file.path()], options).unwrap()
}

/// An observation as a short line, such as `contact 2026-09-01T00:00:00.000Z tcp 443`.
fn short(observation: &Observation) -> String {
    match observation {
        Observation::Contact(contact) => {
            format!("contact {} {} {} {}", contact.ts, contact.remote, contact.proto.as_str(), contact.port)
        }
        Observation::Probe(probe) => {
            format!("probe {} {} {} {}", probe.ts, probe.source, probe.kind.as_str(), probe.port)
        }
        Observation::Answer(answer) => {
            format!("answer {} {} {} {}", answer.ts, answer.source, answer.kind.as_str(), answer.port)
        }
    }
}

/// The line of a SYN in the log of the kernel, from `IN=` on.
fn syn(inward: bool, port: u16) -> String {
    let (src, dst) = if inward { (SCANNER_FULL, LOCAL_FULL) } else { (LOCAL_FULL, SITE_FULL) };
    format!(
        "IN=wan0 OUT=lan0 MAC=52:54:00:12:34:56:52:54:00:65:43:21:86:dd SRC={src} DST={dst} LEN=60 TC=0 HOPLIMIT=50 \
         FLOWLBL=12345 PROTO=TCP SPT=40000 DPT={port} WINDOW=64240 RES=0x00 SYN URGP=0 "
    )
}

#[test]
fn every_time_format_of_firewall_logs_is_read() {
    for (before, expected) in [
        ("Sep  1 01:41:54 router kernel: [12345.678901] drop: ", "2026-09-01T00:41:54.000Z"),
        ("Sep 01 01:41:54.831456 router kernel: ", "2026-09-01T00:41:54.831Z"),
        ("<4>Sep  1 01:41:54 router kernel: nft#drop ", "2026-09-01T00:41:54.000Z"),
        ("2026-09-01T01:41:54+0200 router kernel: ", "2026-08-31T23:41:54.000Z"),
        ("2026-09-01T01:41:54.831456+02:00 router kernel: [ 5.1] ", "2026-08-31T23:41:54.831Z"),
        ("<4>1 2026-09-01T01:41:54.831Z router kernel - - - ", "2026-09-01T01:41:54.831Z"),
        ("1788226914.831456 router kernel: ", "2026-09-01T01:41:54.831Z"),
        ("Tue 2026-09-01 01:41:54 UTC router kernel: ", "2026-09-01T01:41:54.000Z"),
        ("[Tue Sep  1 01:41:54 2026] ", "2026-09-01T00:41:54.000Z"),
        ("Tue Sep  1 01:41:54 2026 kern.warn kernel: [12.3] reject wan in: ", "2026-09-01T00:41:54.000Z"),
        ("2026-09-01T01:41:54,831456+00:00 SRC=x OUT=y IN=", "2026-09-01T01:41:54.831Z"),
    ] {
        // A log prefix may stand immediately before the fields.
        let Reading { observed, faults, .. } = read(&format!("{before}{}\n", syn(true, 22)), &options());
        assert_eq!(faults, [""; 0], "{before}");
        assert_eq!(observed, [format!("probe {expected} 2a0d:5600::29 syn 22")], "{before}");
    }
}

#[test]
fn fields_of_a_firewall_log_become_packets_of_every_kind() {
    let stamp = "2026-09-01T00:00:00Z router kernel: ";
    let inward = format!("IN=wan0 OUT=lan0 SRC={SCANNER_FULL} DST={LOCAL_FULL} LEN=68 TC=0 HOPLIMIT=50 FLOWLBL=7");
    let lines = [
        format!("{inward} PROTO=ICMPv6 TYPE=128 CODE=0 ID=77 SEQ=3 "),
        format!("{inward} PROTO=UDP SPT=5000 DPT=123 LEN=28 "),
        format!("{inward} PROTO=TCP SPT=1 DPT=2 SEQ=5 ACK=6 WINDOW=1024 RES=0x00 URG PSH FIN URGP=0 OPT (02) "),
        syn(false, 443),
        // An ICMPv6 error about our packet, an established connection, a later fragment, other protocols.
        format!("{inward} PROTO=ICMPv6 TYPE=1 CODE=3 [SRC={LOCAL_FULL} DST={SITE_FULL} LEN=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        format!("{inward} PROTO=TCP SPT=1 DPT=2 WINDOW=1 RES=0x00 ACK PSH URGP=0 "),
        format!("{inward} OPT ( FRAG:1448 ID:0000abcd ) "),
        format!("{inward} PROTO=UDP INCOMPLETE [4 bytes] "),
        format!("{inward} PROTO=47 "),
        "IN=wan0 OUT= MAC= SRC=192.0.2.1 DST=192.0.2.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=1 DPT=2 WINDOW=1 RES=0x00 SYN URGP=0 ".into(),
    ];
    let text: String = lines.iter().map(|line| format!("{stamp}{line}\n")).collect();
    let Reading { observed, faults, summary, observations } =
        read(&format!("{text}{stamp}usb 1-1: new device\n"), &options());
    assert_eq!(faults, [""; 0]);
    assert_eq!(
        observed,
        [
            "probe 2026-09-01T00:00:00.000Z 2a0d:5600::29 echo 0",
            "probe 2026-09-01T00:00:00.000Z 2a0d:5600::29 udp 123",
            "probe 2026-09-01T00:00:00.000Z 2a0d:5600::29 tcp-other 2",
            "contact 2026-09-01T00:00:00.000Z 2a02:1::1 tcp 443",
        ]
    );
    assert_eq!((summary.lines, summary.bad_lines), (11, 0));
    let Observation::Probe(echo) = &observations[0] else { panic!() };
    let traits = &echo.traits;
    assert_eq!((traits.icmp_id, traits.icmp_seq, traits.hop_limit), (Some(77), Some(3), Some(50)));
    assert_eq!((traits.flow_label, traits.payload_len, traits.window), (Some(7), Some(20), None));
    let Observation::Probe(udp) = &observations[1] else { panic!() };
    assert_eq!((udp.traits.payload_len, udp.traits.source_port), (Some(20), Some(5_000)));
}

#[test]
fn bad_lines_are_reported_and_never_half_read() {
    let stamp = "2026-09-01T00:00:00Z router kernel: ";
    let good = syn(true, 22);
    let cut = &good[..good.len() - 8];
    let text = [
        format!("{stamp}{good}"),
        format!("{stamp}{cut}"),
        format!("{stamp}{}", good.replace("DPT=22", "DPT=70000")),
        format!("{stamp}{}", good.replace(SCANNER_FULL, "2a0d::x")),
        format!("[12345.678901] {good}"),
        format!("yesterday {good}"),
        format!("2026-13-01T00:00:00Z {good}"),
        format!("2026-11-22T00:00:00Z {good}"),
        "{\"event_type\":\"flow\"}".into(),
        format!("{stamp}{good}"),
    ]
    .map(|line| line + "\n")
    .concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    // The last line is still being written.
    fs::write(&file, format!("{text}{stamp}{}", &good[..good.len() - 40])).unwrap();
    let Reading { observed, faults, summary, .. } = read_files(&[file.path()], &options()).unwrap();
    let name = file.path().display();
    assert_eq!(
        faults,
        [
            format!("{name}:2: it is cut before the TCP flags end: line skipped"),
            format!("{name}:3: DPT is \"DPT=70000\": line skipped"),
            format!("{name}:4: SRC is \"SRC=2a0d::x\": line skipped"),
            format!(
                "{name}:5: its time counts from the start of the machine: write the log with `journalctl -k -o \
                 short-iso`: line skipped"
            ),
            format!("{name}:6: no time at its beginning: line skipped"),
            format!("{name}:7: no such time: line skipped"),
            format!("{name}:8: 2026-11-22T00:00:00.000Z is in the future: line skipped"),
            format!("{name}:9: JSON in a firewall log: line skipped"),
            format!("{name}:11: no newline, the line is cut short or still being written: line skipped"),
        ]
    );
    // The second SYN is a repeat, and is handed on as a repeat.
    assert_eq!(observed.len(), 2);
    assert_eq!((summary.lines, summary.bad_lines, summary.positions[0].items), (10, 8, 10));
}

#[test]
fn a_log_that_has_grown_makes_only_new_observations() {
    let line = |second: u32, port| format!("2026-09-01T00:00:{second:02}Z router kernel: {}\n", syn(true, port));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, line(1, 22) + &line(2, 23)).unwrap();
    let first = read_files(&[file.path()], &options()).unwrap();
    assert_eq!(first.observed.len(), 2);
    let known = ReadOptions { known: first.summary.positions, ..options() };
    assert_eq!(read_files(&[file.path()], &known).unwrap().observed, [""; 0]);
    fs::write(&file, line(1, 22) + &line(2, 23) + &line(3, 24)).unwrap();
    let grown = read_files(&[file.path()], &known).unwrap();
    assert_eq!(grown.observed, ["probe 2026-09-01T00:00:03.000Z 2a0d:5600::29 syn 24"]);
    assert_eq!(grown.summary.positions[0].items, 3);
    // The same log under another name and compressed, and another log.
    let text = line(1, 22) + &line(2, 23);
    let packed = ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    let rotated = tempfile::NamedTempFile::new().unwrap();
    fs::write(&rotated, packed).unwrap();
    assert_eq!(read_files(&[rotated.path()], &known).unwrap().observed, [""; 0]);
    assert_eq!(read(&line(9, 22), &known).observed.len(), 1);
}

#[test]
fn rotated_logs_may_be_read_newest_first() {
    let line = |day: u32, text: &str| format!("2026-09-{day:02}T00:00:00Z router kernel: {text}\n");
    let udp = |src: &str, dst: &str, from: u16, to: u16| {
        format!(
            "IN=a OUT=b SRC={src} DST={dst} LEN=68 TC=0 HOPLIMIT=50 FLOWLBL=7 PROTO=UDP SPT={from} DPT={to} LEN=28 "
        )
    };
    let directory = tempfile::tempdir().unwrap();
    let (new, old) = (directory.path().join("log"), directory.path().join("log.1"));
    // Port 5000 is in use on the 2nd, but not on the 1st.
    fs::write(&new, line(2, &udp(LOCAL_FULL, SITE_FULL, 5_000, 123))).unwrap();
    fs::write(&old, line(1, &udp(SCANNER_FULL, LOCAL_FULL, 9, 5_000))).unwrap();
    let observed = read_files(&[&new, &old], &options()).unwrap().observed;
    assert_eq!(
        observed,
        ["contact 2026-09-02T00:00:00.000Z 2a02:1::1 udp 123", "probe 2026-09-01T00:00:00.000Z 2a0d:5600::29 udp 5000"]
    );
}

#[test]
fn missing_years_come_from_the_file_or_from_the_user() {
    let line = |date: &str| format!("{date} 12:00:00 router kernel: {}\n", syn(true, 22));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, line("Dec 31") + &line("Jan  1")).unwrap();
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_441_600); // 2026-01-03T12:00:00Z
    file.as_file().set_modified(written).unwrap();
    let years = |read: Reading| read.observed.iter().map(|observed| observed[6..16].to_owned()).collect::<Vec<_>>();
    assert_eq!(years(read_files(&[file.path()], &options()).unwrap()), ["2025-12-31", "2026-01-01"]);
    let given = ReadOptions { year: Some(2019), ..options() };
    assert_eq!(years(read_files(&[file.path()], &given).unwrap()), ["2019-12-31", "2020-01-01"]);

    fs::write(&file, line("Mar  1") + &line("Dec 31") + &line("Jan  1") + &line("Mar  1")).unwrap();
    file.as_file().set_modified(written).unwrap();
    let error = read_files(&[file.path()], &options()).err().unwrap();
    // The lines are from March 2025, December 2025, January 2026, and then March again.
    assert!(error.is_usage() && error.to_string().contains(":4: ") && error.to_string().contains("--year"), "{error}");
}

#[test]
fn zeek_has_initiators_and_answers_in_both_formats() {
    let rows = [
        // ts, orig_h, orig_p, resp_h, resp_p, proto, duration, history, resp_pkts
        ("1788220800.5", LOCAL, "40000", "2a02:1::1", "443", "tcp", "3600.25", "ShADadFf", "10"),
        ("1788220810.0", "2a0d:5600::29", "50000", LOCAL, "22", "tcp", "-", "S", "0"),
        ("1788220811.0", "2a0d:5600::29", "50001", LOCAL, "80", "tcp", "0.1", "ShR", "1"),
        ("1788220812.0", "2a0d:5600::29", "50002", LOCAL, "81", "tcp", "0.1", "Sr", "1"),
        ("1788220813.0", "2a0d:5600::29", "128", LOCAL, "129", "icmp", "0.1", "-", "1"),
        ("1788224000.0", "2a0d:5600::29", "1", LOCAL, "123", "udp", "-", "D", "0"),
        ("1788224001.0", LOCAL, "5353", "2a02:1::1", "53", "udp", "0.01", "Dd", "1"),
        ("1788224002.0", "2a02:7::1", "9", LOCAL, "5353", "udp", "-", "D", "0"),
        ("1788224003.0", LOCAL, "40001", "2a02:1::1", "443", "tcp", "5", "DdA", "10"),
        ("1788224004.0", "192.0.2.1", "1", "192.0.2.2", "2", "udp", "-", "D", "0"),
    ];
    let expected = [
        "contact 2026-09-01T00:00:00.500Z 2a02:1::1 tcp 443",
        "probe 2026-09-01T00:00:10.000Z 2a0d:5600::29 syn 22",
        "probe 2026-09-01T00:00:11.000Z 2a0d:5600::29 syn 80",
        "answer 2026-09-01T00:00:11.000Z 2a0d:5600::29 syn 80",
        "probe 2026-09-01T00:00:12.000Z 2a0d:5600::29 syn 81",
        "probe 2026-09-01T00:00:13.000Z 2a0d:5600::29 echo 0",
        "answer 2026-09-01T00:00:13.000Z 2a0d:5600::29 echo 0",
        "probe 2026-09-01T00:53:20.000Z 2a0d:5600::29 udp 123",
        "contact 2026-09-01T00:53:21.000Z 2a02:1::1 udp 53",
    ];
    let mut tsv = String::from(
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t2026-09-01-00-00-00\n\
         #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\thistory\tresp_pkts\n\
         #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tstring\tcount\n",
    );
    let mut json = String::new();
    // Zeek writes a connection when the connection ends, so the long connection comes last.
    for (ts, orig, orig_p, resp, resp_p, proto, duration, history, packets) in
        rows.iter().cycle().skip(1).take(rows.len())
    {
        tsv += &format!("{ts}\tCx\t{orig}\t{orig_p}\t{resp}\t{resp_p}\t{proto}\t-\t{duration}\t{history}\t{packets}\n");
        let optional = |name: &str, value: &str, quote: &str| {
            if value == "-" { String::new() } else { format!(",\"{name}\":{quote}{value}{quote}") }
        };
        json += &format!(
            "{{\"ts\":{ts},\"uid\":\"Cx\",\"id.orig_h\":\"{orig}\",\"id.orig_p\":{orig_p},\"id.resp_h\":\"{resp}\",\
             \"id.resp_p\":{resp_p},\"proto\":\"{proto}\"{}{},\"resp_pkts\":{packets}}}\n",
            optional("duration", duration, ""),
            optional("history", history, "\""),
        );
    }
    tsv += "#close\t2026-09-01-01-00-00\n";
    for text in [tsv, json] {
        let Reading { observed, faults, observations, .. } = read(&text, &options());
        assert_eq!(faults, [""; 0]);
        assert_eq!(observed, expected, "{text}");
        let Observation::Contact(contact) = &observations[0] else { panic!() };
        assert_eq!(contact.last, time("2026-09-01T01:00:00.750Z"));
    }
}

#[test]
fn suricata_has_flows_and_alerts() {
    let flow = |src: &str, sport: u16, dst: &str, dport: u16, back: u8, ts: &str, tc: &str| {
        format!(
            "{{\"timestamp\":\"2026-09-01T02:10:00.000000+0200\",\"flow_id\":1,\"in_iface\":\"wan0\",\"event_type\":\"flow\",\
             \"src_ip\":\"{src}\",\"src_port\":{sport},\"dest_ip\":\"{dst}\",\"dest_port\":{dport},\"proto\":\"TCP\",\
             \"flow\":{{\"pkts_toserver\":1,\"pkts_toclient\":{back},\"bytes_toserver\":74,\"bytes_toclient\":0,\
             \"start\":\"2026-09-01T02:00:00.000000+0200\",\"end\":\"2026-09-01T02:05:00.000000+0200\",\"age\":300,\
             \"state\":\"new\",\"reason\":\"timeout\",\"alerted\":false}},\"tcp\":{{\"tcp_flags\":\"02\",\
             \"tcp_flags_ts\":\"{ts}\",\"tcp_flags_tc\":\"{tc}\",\"syn\":true,\"state\":\"syn_sent\"}}}}\n"
        )
    };
    let alert = format!(
        "{{\"timestamp\":\"2026-09-01T02:00:00.000000+0200\",\"flow_id\":1,\"event_type\":\"alert\",\"src_ip\":\"{LOCAL}\",\
         \"src_port\":22,\"dest_ip\":\"2a0d:5600::29\",\"dest_port\":50000,\"proto\":\"TCP\",\"direction\":\"to_client\",\
         \"alert\":{{\"action\":\"allowed\",\"signature\":\"ET SCAN\"}},\"flow\":{{\"pkts_toserver\":1,\"pkts_toclient\":1,\
         \"start\":\"2026-09-01T02:00:00.000000+0200\"}}}}\n"
    );
    let echo = format!(
        "{{\"timestamp\":\"2026-09-01T02:10:00.000000+0200\",\"event_type\":\"flow\",\"src_ip\":\"2a0d:5600::29\",\"dest_ip\":\"{LOCAL}\",\
         \"proto\":\"IPv6-ICMP\",\"icmp_type\":128,\"icmp_code\":0,\"response_icmp_type\":129,\"flow\":{{\"pkts_toserver\":1,\
         \"pkts_toclient\":1,\"start\":\"2026-09-01T02:00:01.000000+0200\",\"end\":\"2026-09-01T02:00:01.000000+0200\"}}}}\n"
    );
    let stats =
        "{\"timestamp\":\"2026-09-01T02:10:00.000000+0200\",\"event_type\":\"stats\",\"stats\":{\"uptime\":1}}\n";
    let text = stats.to_owned()
        + &alert
        + &flow("2a0d:5600::29", 50_000, LOCAL, 22, 1, "02", "12")
        + &flow(LOCAL, 40_000, "2a02:1::1", 443, 9, "1b", "1b")
        + &flow(LOCAL, 40_001, "2a02:1::1", 443, 9, "18", "18")
        + &flow("2a0d:5600::29", 50_001, LOCAL, 23, 1, "02", "14")
        + &echo;
    let Reading { observed, faults, .. } = read(&text, &options());
    assert_eq!(faults, [""; 0]);
    let count = |text: &str| observed.iter().filter(|observed| observed.contains(text)).count();
    assert_eq!(count("probe 2026-09-01T00:00:00.000Z 2a0d:5600::29 syn 22"), 2, "one is from the alert: {observed:?}");
    assert_eq!((count("answer"), count("syn 23"), count("contact"), count("echo")), (2, 1, 1, 2), "{observed:?}");
}

#[test]
fn conntrack_has_beginnings_and_answers_as_on_the_uplink() {
    let text = format!(
        "[1788220800.000001]\t    [NEW] ipv6     10 tcp      6 120 SYN_SENT src={LOCAL} dst=2a02:1::1 sport=40000 dport=443 [UNREPLIED] src=2a02:1::1 dst={LOCAL} sport=443 dport=40000\n\
         [1788220801.000000]\t [UPDATE] ipv6     10 tcp      6 60 SYN_RECV src={LOCAL} dst=2a02:1::1 sport=40000 dport=443 src=2a02:1::1 dst={LOCAL} sport=443 dport=40000\n\
         [1788220802.000000]\t    [NEW] tcp      6 120 SYN_SENT src=2a0d:5600::29 dst={LOCAL} sport=1 dport=22 [UNREPLIED] src={LOCAL} dst=2a0d:5600::29 sport=22 dport=1\n\
         [1788220802.500000]\t [UPDATE] tcp      6 60 SYN_RECV src=2a0d:5600::29 dst={LOCAL} sport=1 dport=22 src={LOCAL} dst=2a0d:5600::29 sport=22 dport=1\n\
         [1788220803.000000]\t    [NEW] icmpv6   58 30 src=2a0d:5600::29 dst={LOCAL} type=128 code=0 id=7 [UNREPLIED] src={LOCAL} dst=2a0d:5600::29 type=129 code=0 id=7\n\
         [1788220804.000000]\t    [NEW] udp      17 30 src=fd00::5 dst=2a02:1::1 sport=5000 dport=123 [UNREPLIED] src=2a02:1::1 dst={LOCAL} sport=123 dport=6000\n\
         [1788220805.000000]\t [DESTROY] udp      17 src=fd00::5 dst=2a02:1::1 sport=5000 dport=123 packets=1 bytes=76 src=2a02:1::1 dst={LOCAL} sport=123 dport=6000\n\
         [1788220806.000000]\t    [NEW] tcp      6 120 SYN_SENT src=192.0.2.1 dst=192.0.2.2 sport=1 dport=2 [UNREPLIED] src=192.0.2.2 dst=192.0.2.1 sport=2 dport=1\n\
         \x20   [NEW] udp      17 30 src={LOCAL} dst=2a02:1::1 sport=5000 dport=123 [UNREPLIED] src=2a02:1::1 dst={LOCAL} sport=123 dport=5000\n"
    );
    let Reading { observed, faults, observations, .. } = read(&text, &options());
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].ends_with(":9: it has no time: add `-o timestamp` to `conntrack -E`: line skipped"),
        "{faults:?}"
    );
    assert_eq!(
        observed,
        [
            "contact 2026-09-01T00:00:00.000Z 2a02:1::1 tcp 443",
            "probe 2026-09-01T00:00:02.000Z 2a0d:5600::29 syn 22",
            "answer 2026-09-01T00:00:02.500Z 2a0d:5600::29 syn 22",
            "probe 2026-09-01T00:00:03.000Z 2a0d:5600::29 echo 0",
            "contact 2026-09-01T00:00:04.000Z 2a02:1::1 udp 123",
        ]
    );
    let Observation::Contact(translated) = &observations[4] else { panic!() };
    assert_eq!((translated.local.to_string().as_str(), translated.local_port), (LOCAL, Some(6_000)));
    assert_eq!((translated.proto, translated.port), (Proto::Udp, 123));
    let Observation::Probe(echo) = &observations[3] else { panic!() };
    assert_eq!((echo.kind, echo.traits.icmp_id), (Kind::Echo, Some(7)));
}

/// Lines as printed by conntrack 1.4.7 and Linux 6.18 in a namespace. Only the addresses were changed.
#[test]
fn real_lines_of_conntrack_and_the_kernel_are_read() {
    let conntrack = "\
[1795206080.993596]\t    [NEW] ipv6     10 icmpv6   58 30 src=2a0d:5600::29 dst=2001:db8:1::5 type=128 code=0 id=5949 [UNREPLIED] src=2001:db8:1::5 dst=2a0d:5600::29 type=129 code=0 id=5949 id=2609493027
[1795206080.993696]\t [UPDATE] ipv6     10 icmpv6   58 30 src=2a0d:5600::29 dst=2001:db8:1::5 type=128 code=0 id=5949 src=2001:db8:1::5 dst=2a0d:5600::29 type=129 code=0 id=5949 id=2609493027
[1795206081.000998]\t    [NEW] ipv6     10 tcp      6 120 SYN_SENT src=2a0d:5600::29 dst=2001:db8:1::5 sport=34934 dport=80 [UNREPLIED] src=2001:db8:1::5 dst=2a0d:5600::29 sport=80 dport=34934 id=3696125727
[1795206081.001013]\t[DESTROY] ipv6     10 tcp      6 120 CLOSE src=2a0d:5600::29 dst=2001:db8:1::5 sport=34934 dport=80 [UNREPLIED] src=2001:db8:1::5 dst=2a0d:5600::29 sport=80 dport=34934 id=3696125727
[1795206081.006280]\t    [NEW] ipv6     10 udp      17 30 src=2a0d:5600::29 dst=2001:db8:1::5 sport=38085 dport=80 [UNREPLIED] src=2001:db8:1::5 dst=2a0d:5600::29 sport=80 dport=38085 id=1039202832
";
    let kernel = "\
2026-11-20T20:21:20Z r kernel: [ 6825.649411] nft test IN=lo OUT= MAC=00:00:00:00:00:00:00:00:00:00:00:00:86:dd SRC=2a0d:5600:0000:0000:0000:0000:0000:0029 DST=2001:0db8:0001:0000:0000:0000:0000:0005 LEN=104 TC=0 HOPLIMIT=64 FLOWLBL=939340 PROTO=ICMPv6 TYPE=128 CODE=0 ID=5949 SEQ=1\x20
2026-11-20T20:21:20Z r kernel: [ 6825.656946] nft test IN=lo OUT= MAC=00:00:00:00:00:00:00:00:00:00:00:00:86:dd SRC=2a0d:5600:0000:0000:0000:0000:0000:0029 DST=2001:0db8:0001:0000:0000:0000:0000:0005 LEN=80 TC=0 HOPLIMIT=64 FLOWLBL=119686 PROTO=TCP SPT=34934 DPT=80 WINDOW=65476 RES=0x00 SYN URGP=0\x20
2026-11-20T20:21:21Z r kernel: [ 6825.662087] nft test IN=lo OUT= MAC=00:00:00:00:00:00:00:00:00:00:00:00:86:dd SRC=2a0d:5600:0000:0000:0000:0000:0000:0029 DST=2001:0db8:0001:0000:0000:0000:0000:0005 LEN=49 TC=0 HOPLIMIT=64 FLOWLBL=724468 PROTO=UDP SPT=38085 DPT=80 LEN=9\x20
";
    for (text, probes) in [(conntrack, 4), (kernel, 3)] {
        let Reading { observed, faults, .. } = read(text, &ReadOptions { now: None, ..options() });
        assert_eq!(faults, [""; 0]);
        assert_eq!(observed.len(), probes, "{observed:?}");
        assert_eq!(observed.iter().filter(|observed| observed.starts_with("probe")).count(), 3);
    }
}

#[test]
fn nfdump_csv_of_both_versions_makes_the_same_exchanges() {
    let old = format!(
        "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das\n\
         2026-09-01 01:00:00,2026-09-01 01:10:00,600.000,2a02:1::1,{LOCAL},443,40000,TCP,...AP.SF,0,0,11,4763,0,0,0,0,0,0\n\
         2026-09-01 01:00:00,2026-09-01 01:10:00,600.000,{LOCAL},2a02:1::1,40000,443,TCP,...AP.SF,0,0,11,4763,0,0,0,0,0,0\n\
         2026-09-01 01:00:05,2026-09-01 01:00:05,0.000,2a0d:5600::29,{LOCAL},50000,22,TCP,......S.,0,0,1,60,0,0,0,0,0,0\n\
         2026-09-01 01:00:05,2026-09-01 01:00:05,0.000,{LOCAL},2a0d:5600::29,22,50000,TCP,...A.R..,0,0,1,60,0,0,0,0,0,0\n\
         2026-09-01 01:00:06,2026-09-01 01:00:06,0.000,2a0d:5600::29,{LOCAL},0,32768,ICMP6,........,0,0,1,60,0,0,0,0,0,0\n\
         2026-09-01 01:00:06,2026-09-01 01:00:06,0.000,192.0.2.1,192.0.2.2,1,2,UDP,........,0,0,1,60,0,0,0,0,0,0\n\
         Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n6,1,1,1,1,1\n"
    );
    let new = format!(
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,flags,packets,bytes\n\
         2026-09-01 01:00:00.000,600.000,TCP,2a02:1::1,443,{LOCAL},40000,...AP.SF,11,4763\n\
         2026-09-01 01:00:00.000,600.000,TCP,{LOCAL},40000,2a02:1::1,443,...AP.SF,11,4763\n\
         2026-09-01 01:00:05.000,0.000,TCP,2a0d:5600::29,50000,{LOCAL},22,......S.,1,60\n\
         2026-09-01 01:00:05.000,0.000,TCP,{LOCAL},22,2a0d:5600::29,50000,...A.R..,1,60\n\
         2026-09-01 01:00:06.000,0.000,ICMP6,2a0d:5600::29,0,{LOCAL},128.0,........,1,60\n"
    );
    for text in [old, new] {
        let Reading { observed, faults, observations, .. } = read(&text, &options());
        assert_eq!(faults, [""; 0]);
        assert_eq!(
            observed,
            [
                "contact 2026-09-01T00:00:00.000Z 2a02:1::1 tcp 443",
                "probe 2026-09-01T00:00:05.000Z 2a0d:5600::29 syn 22",
                "probe 2026-09-01T00:00:06.000Z 2a0d:5600::29 echo 0",
            ],
            "{text}"
        );
        let Observation::Contact(contact) = &observations[0] else { panic!() };
        assert_eq!(contact.last, time("2026-09-01T00:10:00Z"));
    }
}

#[test]
fn a_log_without_ipv6_is_reported_and_home_is_inferred() {
    let quiet = "Sep  1 01:41:54 router sshd[7]: Connection closed\n".repeat(3);
    let Reading { faults, .. } = read(&quiet, &options());
    assert!(faults.len() == 1 && faults[0].contains("no IPv6 packet or flow"), "{faults:?}");

    let unknown = ReadOptions { home: Vec::new(), ..options() };
    let text: String = (1..=9)
        .map(|n| format!("2026-09-01T00:00:0{n}Z r kernel: {}\n", syn(true, 22).replace("2a0d", &format!("2a0{n}"))))
        .collect();
    let Reading { summary, observed, .. } = read(&text, &unknown);
    assert_eq!((summary.home[0].to_string().as_str(), observed.len()), ("2001:db8:1::/48", 9));
    assert!(summary.home_is_inferred);
}
