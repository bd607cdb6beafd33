use proptest::option::of;
use proptest::prelude::*;
use sensor_common::{Kind, Proto};
use tattler_core::observation::{Contact, Observation, Probe, Traits};
use tattler_core::time::Time;

use super::*;
use crate::Fault;
use crate::text::lines::LONGEST;
use crate::text::{Dialect, LineCounts, LineItem, LogClock, TextReader};

const CONTACT: &str = r#"{"type":"contact","ts":"2026-09-01T01:41:54.831Z","local":"2001:db8::e014:9aff:5e49:ecb3","remote":"2a3d:8e01::10","proto":"tcp","port":443}"#;
const PROBE: &str = r#"{"type":"probe","ts":"2026-09-01T03:51:56.888Z","source":"2a0d:5600::29","target":"2001:db8::e014:9aff:5e49:ecb3","kind":"syn","port":22,"hop_limit":50}"#;

fn read_all(text: &[u8]) -> (Vec<Observation>, Vec<String>, LineCounts) {
    let (mut observations, mut reported) = (Vec::new(), Vec::new());
    let (counts, entries) = read_text(text, &mut |observation| observations.push(observation), &mut |fault| {
        reported.push(fault.to_string())
    });
    assert_eq!(entries, []);
    (observations, reported, counts)
}

/// Reads a text. Returns the backup entries.
fn read_text(
    text: &[u8],
    observe: &mut dyn FnMut(Observation),
    report: &mut dyn FnMut(Fault),
) -> (LineCounts, Vec<BackupEntry>) {
    let mut entries = Vec::new();
    let clock = LogClock::new(jiff::tz::TimeZone::UTC, None, None, None);
    let mut lines = TextReader::new("x", text, Dialect::JsonLines, clock);
    while let Some(item) = lines.next(report).unwrap() {
        match item {
            LineItem::Observation(observation) => observe(observation),
            LineItem::Backup(entry) => entries.push(entry),
            LineItem::Nothing => {}
            item => panic!("{item:?}"),
        }
    }
    (lines.finish(report), entries)
}

fn reason(line: &str) -> String {
    parse(line.as_bytes()).unwrap_err()
}

/// A line with one key changed.
fn with(line: &str, key: &str, value: &str) -> String {
    let mut object: serde_json::Value = serde_json::from_str(line).unwrap();
    object[key] = serde_json::from_str(value).unwrap();
    object.to_string()
}

fn without(line: &str, key: &str) -> String {
    let mut object: serde_json::Value = serde_json::from_str(line).unwrap();
    object.as_object_mut().unwrap().remove(key);
    object.to_string()
}

#[test]
fn lines_of_the_contract_are_read_and_written_unchanged() {
    let contact = Observation::Contact(Contact::new(
        Time(1_788_226_914_831_000),
        "2001:db8::e014:9aff:5e49:ecb3".parse().unwrap(),
        "2a3d:8e01::10".parse().unwrap(),
        Proto::Tcp,
        443,
    ));
    assert_eq!(parse(CONTACT.as_bytes()), Ok(contact.clone()));
    assert_eq!(to_json_line(&contact).unwrap(), CONTACT);
    let probe = parse(PROBE.as_bytes()).unwrap();
    assert_eq!(to_json_line(&probe).unwrap(), PROBE);
    let Observation::Probe(probe) = probe else { panic!("{probe:?}") };
    assert_eq!((probe.kind, probe.port, probe.count), (Kind::Syn, 22, 1));
    assert_eq!(probe.traits, Traits { hop_limit: Some(50), ..Traits::default() });
}

#[test]
fn unknown_keys_and_nulls_are_ignored() {
    let line = with(&with(PROBE, "asn", "{\"number\":[64496]}"), "device", "null");
    assert_eq!(parse(line.as_bytes()), parse(PROBE.as_bytes()));
}

#[test]
fn ports_are_required_except_for_icmpv6() {
    assert_eq!(reason(&without(CONTACT, "port")), "port is missing");
    assert_eq!(reason(&without(PROBE, "port")), "port is missing");
    let echo = with(&without(PROBE, "port"), "kind", "\"echo\"");
    assert!(matches!(parse(echo.as_bytes()), Ok(Observation::Probe(Probe { kind: Kind::Echo, port: 0, .. }))));
    let ping = with(&without(CONTACT, "port"), "proto", "\"icmpv6\"");
    assert!(matches!(parse(ping.as_bytes()), Ok(Observation::Contact(Contact { proto: Proto::Icmpv6, port: 0, .. }))));
}

#[test]
fn a_reason_names_the_key_the_value_and_the_wanted_type() {
    for (line, key, value, expected) in [
        (CONTACT, "port", "65536", "port is 65536, not a number from 0 to 65535"),
        (CONTACT, "port", "-1", "port is a negative number, not a number from 0 to 65535"),
        (CONTACT, "port", "\"443\"", "port is \"443\", not a number from 0 to 65535"),
        (CONTACT, "port", "4.5", "port is a fractional number, not a number from 0 to 65535"),
        (CONTACT, "remote", "\"192.0.2.1\"", "remote is \"192.0.2.1\", not an IPv6 address"),
        (CONTACT, "local", "7", "local is 7, not an IPv6 address"),
        (CONTACT, "proto", "\"sctp\"", "proto is \"sctp\", not tcp, udp or icmpv6"),
        (CONTACT, "ts", "\"yesterday\"", "ts is \"yesterday\", not a time like 2026-09-01T01:41:54.831Z"),
        (CONTACT, "last", "\"2026-09-01T01:41:54Z\"", "last is before ts"),
        (CONTACT, "type", "\"scan\"", "type is \"scan\", not contact, probe, answer, ack or device-key"),
        (CONTACT, "type", "null", "type is missing"),
        (CONTACT, "name", "[1]", "name is a list, not a string"),
        (PROBE, "kind", "\"ack\"", "kind is \"ack\", not echo, syn, udp or tcp-other"),
        (PROBE, "count", "0", "count is 0, not a number from 1 to 4294967295"),
        (PROBE, "hop_limit", "256", "hop_limit is 256, not a number from 0 to 255"),
        (PROBE, "answered", "1", "answered is 1, not true or false"),
        (PROBE, "flow_label", "1048576", "flow_label is 1048576, not a number from 0 to 1048575"),
    ] {
        assert_eq!(reason(&with(line, key, value)), expected);
    }
    for (line, expected) in [
        ("[1]", "no JSON object, and no line of a known log"),
        ("hello", "no JSON object, and no line of a known log"),
        ("{\"type\":", "column 8: EOF while parsing a value"),
        ("{} {}", "column 4: trailing characters"),
        ("{\"ts\":1,\"ts\":2}", "column 12: duplicate field `ts`"),
    ] {
        assert_eq!(reason(line), expected);
    }
    assert_eq!(parse(b"{\"type\":\"\xff\"}"), Err("invalid UTF-8 at byte 10".into()));
}

#[test]
fn a_bad_line_is_reported_with_its_number_and_skipped() {
    let text = format!("\u{feff}{CONTACT}\r\n\n  \nnonsense\n{PROBE}");
    let (observations, reported, lines) = read_all(text.as_bytes());
    assert_eq!(observations.len(), 2);
    assert_eq!(reported, ["x:4: no JSON object, and no line of a known log: line skipped"]);
    assert_eq!((lines.all, lines.bad), (3, 1));
}

#[test]
fn ten_bad_lines_are_reported_and_the_rest_counted() {
    let (_, reported, lines) = read_all("x\n".repeat(500).as_bytes());
    assert_eq!(reported.len(), 11);
    assert_eq!(reported[10], "x: 490 more lines skipped, 500 of 500 in all: fix or remove them");
    assert_eq!((lines.all, lines.bad), (500, 500));
}

#[test]
fn an_endless_line_is_skipped_in_bounded_memory() {
    let text = [b"{\"type\":\"".as_slice(), &vec![b'a'; LONGEST * 3], b"\n", PROBE.as_bytes(), b"\n"].concat();
    let (observations, reported, _) = read_all(&text);
    assert_eq!(observations.len(), 1);
    assert_eq!(reported, ["x:1: longer than 65536 bytes: line skipped"]);
}

#[test]
fn an_empty_text_is_reported() {
    assert_eq!(read_all(b"\n\n").1, ["x has nothing to read: give a file with observations"]);
}

#[test]
fn entries_of_a_backup_are_read_as_they_are_written() {
    let answer = r#"{"type":"answer","ts":"2026-09-01T03:51:56.888123Z","source":"2a00::1","target":"2001:db8::1","kind":"syn","port":22}"#;
    let echo =
        r#"{"type":"answer","ts":"2026-09-01T03:51:56.888Z","source":"2a00::1","target":"2001:db8::1","kind":"echo"}"#;
    for line in [answer, echo] {
        let observation = parse(line.as_bytes()).unwrap();
        assert!(matches!(observation, Observation::Answer(_)), "{observation:?}");
        assert_eq!(to_json_line(&observation).unwrap(), line);
    }
    let ack = r#"{"type":"ack","remote":"2a05::/32","at":"2026-09-01T03:51:56.888123Z","until":"2026-10-01T00:00:00.000Z","note":"our own monitor"}"#;
    let bare = r#"{"type":"ack","remote":"2a05::53/128","at":"2026-09-01T03:51:56.888Z"}"#;
    let key = format!(r#"{{"type":"device-key","key":"{}"}}"#, "0f".repeat(32));
    let (_, entries) = read_text([ack, bare, &key].join("\n").as_bytes(), &mut |one| panic!("{one:?}"), &mut |fault| {
        panic!("{fault}")
    });
    assert_eq!(entries.len(), 3);
    let written: Vec<_> = entries.iter().map(|entry| entry.to_json_line().unwrap()).collect();
    assert_eq!(written, [ack, bare, &key]);
    assert_eq!(entries[2], BackupEntry::DeviceKey([0x0f; 32]));
    for (line, said) in [
        (with(ack, "remote", "\"here\""), "remote is \"here\", not an IPv6 address or a prefix"),
        (with(&key, "key", "\"0f\""), "key is not 64 hexadecimal digits"),
        (with(&key, "key", &format!("\"{}\"", "é".repeat(32))), "key is not 64 hexadecimal digits"),
        (without(&key, "key"), "key is missing"),
    ] {
        let (_, reported, lines) = read_all(line.as_bytes());
        assert_eq!((reported[0].as_str(), lines.bad), (format!("x:1: {said}: line skipped").as_str(), 1));
    }
}

fn time() -> impl Strategy<Value = Time> {
    // Times from the year 1 to the year 9998.
    (-62_135_596_800_000_000_i64..253_000_000_000_000_000).prop_map(Time)
}

fn contact() -> impl Strategy<Value = Observation> {
    let proto = prop::sample::select(Proto::ALL.to_vec());
    let names = (of(any::<String>()), of(any::<String>()));
    (time(), 0..1_000_000_000_i64, any::<[u128; 2]>(), proto, any::<u16>(), of(any::<u16>()), any::<u32>(), names)
        .prop_map(|(ts, later, [local, remote], proto, port, local_port, count, (name, device))| {
            let (last, port) = (Time(ts.0 + later), if proto == Proto::Icmpv6 { 0 } else { port });
            let contact = Contact::new(ts, local.into(), remote.into(), proto, port);
            Observation::Contact(Contact { last, local_port, count, name, device, ..contact })
        })
}

fn probe() -> impl Strategy<Value = Observation> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let numbers = (of(any::<u8>()), any::<[Option<u16>; 5]>(), of(any::<u8>()), of(0..1_u32 << 20));
    let texts = any::<[Option<String>; 3]>();
    (time(), any::<[u128; 2]>(), kind, any::<u16>(), 1..=u32::MAX, numbers, texts, any::<[bool; 3]>()).prop_map(
        |(ts, [source, target], kind, port, count, numbers, texts, flags)| {
            let (hop_limit, [source_port, icmp_id, icmp_seq, payload_len, window], tcp_flags, flow_label) = numbers;
            let [payload_hash, tcp_options, device] = texts;
            let [contacted_source, answered, settling] = flags;
            let traits = Traits {
                hop_limit,
                source_port,
                icmp_id,
                icmp_seq,
                payload_len,
                payload_hash,
                window,
                tcp_options,
                tcp_flags,
                flow_label,
            };
            let port = if kind == Kind::Echo { 0 } else { port };
            let probe = Probe::new(ts, source.into(), target.into(), kind, port);
            Observation::Probe(Probe { count, traits, contacted_source, answered, settling, device, ..probe })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_observations_are_read_back(observation in prop_oneof![contact(), probe()]) {
        let line = to_json_line(&observation).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(parse(line.as_bytes()), Ok(observation), "{}", line);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }
}
