//! Tests of queries on a small store.

use serde_json::json;
use tattler_core::when;
use tattler_files::jsonl;
use tempfile::TempDir;

use super::*;
use crate::contract::{RowsAnswer, RowsQuestion};
use crate::store::Store;

/// A store with the observations of these JSON lines.
fn store(lines: &[Value]) -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let all: Vec<_> = lines.iter().map(|line| jsonl::parse(line.to_string().as_bytes()).unwrap()).collect();
    store.append(&all).unwrap();
    (dir, store)
}

fn contact(ts: &str, local: &str, remote: &str, port: u16) -> Value {
    let (ts, local) = (format!("2026-09-{ts}Z"), format!("2001:db8::{local}"));
    json!({"type": "contact", "ts": ts, "local": local, "remote": remote, "proto": "tcp", "port": port, "device": "d1"})
}

fn probe(ts: &str, source: &str, target: &str, port: u16) -> Value {
    let (ts, target) = (format!("2026-09-{ts}Z"), format!("2001:db8::{target}"));
    json!({"type": "probe", "ts": ts, "source": source, "target": target, "kind": "syn", "port": port})
}

fn household() -> (TempDir, Store) {
    store(&[
        contact("01T10:00:00", "a", "3fff:1::1", 443),
        contact("02T10:00:00", "a", "3fff:1::2", 443),
        contact("02T09:59:30", "a", "3fff:9::9", 80),
        contact("03T10:00:00", "b", "3fff:2::1", 123),
        probe("03T11:00:00", "3fff:5::1", "a", 22),
        probe("03T11:00:01", "3fff:5::2", "a", 22),
        probe("03T11:00:02", "3fff:5::2", "b", 80),
        probe("03T12:00:00", "3fff:1::1", "a", 113),
        probe("04T12:00:00", "3fff:6::1", "ffff", 22),
    ])
}

fn names() -> Names {
    let mut names = Names::default();
    names.name_device("d1", "printer");
    names.label_prefix("3fff:1::/32".parse().unwrap(), "a site");
    names.mark_public("2001:db8::b/128".parse().unwrap());
    names
}

fn ask_with(dir: &TempDir, subject: Subject, question: &RowsQuestion, most: u64) -> RowsAnswer {
    let (names, read) = (names(), AtomicU64::new(0));
    let context = Context { names: &names, now: Time(0), most, read: &read };
    let reader = Reader::open(dir.path()).unwrap();
    QueryPlan::new(subject, question, Time(0)).unwrap().answer(&reader, &context).unwrap()
}

fn ask(dir: &TempDir, subject: Subject, question: &RowsQuestion) -> RowsAnswer {
    ask_with(dir, subject, question, MOST)
}

fn filter(text: &str) -> RowsQuestion {
    RowsQuestion { filter: Some(text.to_owned()), ..RowsQuestion::default() }
}

fn at(text: &str) -> Option<Time> {
    Some(when::time(text, Time(0)).unwrap())
}

/// The values of one column.
fn column(answer: &RowsAnswer, key: &str) -> Vec<Value> {
    answer.rows.iter().map(|row| row[key].clone()).collect()
}

#[test]
fn the_latest_probes_come_first_and_the_rest_is_counted() {
    let (dir, _store) = household();
    let question = RowsQuestion { limit: Some(2), ..RowsQuestion::default() };
    let answer = ask(&dir, Subject::Probes, &question);
    assert_eq!(answer.schema, "tattler.probes/1");
    assert_eq!(column(&answer, "source"), [json!("3fff:6::1"), json!("3fff:1::1")]);
    assert_eq!(answer.more, 3);
    // The number of rows is limited even if the question sets no limit.
    let answer = ask_with(&dir, Subject::Probes, &RowsQuestion { limit: Some(0), ..RowsQuestion::default() }, 4);
    assert_eq!((answer.rows.len(), answer.more), (4, 1));
}

#[test]
fn filters_exceptions_and_windows_leave_rows_out() {
    let (dir, _store) = household();
    let sources = |question: &RowsQuestion| column(&ask(&dir, Subject::Probes, question), "source").len();
    assert_eq!(sources(&filter("port 22")), 3);
    assert_eq!(
        sources(&RowsQuestion { except: vec!["port 22".into(), "port 80".into()], ..RowsQuestion::default() }),
        1
    );
    assert_eq!(sources(&RowsQuestion { since: at("2026-09-03T11:00:01Z"), ..filter("port 22") }), 2);
    assert_eq!(sources(&RowsQuestion { until: at("2026-09-03T11:00:00Z"), ..RowsQuestion::default() }), 1);
    let since = RowsQuestion { since: at("2026-09-02"), until: at("2026-09-02T23:00:00Z"), ..RowsQuestion::default() };
    assert_eq!(column(&ask(&dir, Subject::Contacts, &since), "remote"), [json!("3fff:1::2"), json!("3fff:9::9")]);
}

#[test]
fn a_probe_is_marked_as_answered_or_contacted() {
    let (dir, mut store) = household();
    store
        .append(&[tattler_core::observation::Observation::Answer(tattler_core::observation::Answer {
            ts: at("2026-09-03T11:00:03Z").unwrap(),
            source: "3fff:5::2".parse().unwrap(),
            target: "2001:db8::b".parse().unwrap(),
            kind: sensor_common::Kind::Syn,
            port: 80,
        })])
        .unwrap();
    let answered = ask(&dir, Subject::Probes, &filter("answered"));
    assert_eq!(column(&answered, "target"), [json!("2001:db8::b")]);
    let back = ask(&dir, Subject::Probes, &filter("contacted_source"));
    assert_eq!(column(&back, "source"), [json!("3fff:1::1")]);
    assert_eq!(column(&ask(&dir, Subject::Locals, &filter("exposed")), "local"), [json!("2001:db8::b")]);
    assert_eq!(column(&ask(&dir, Subject::Contacts, &filter("exposed")), "remote"), [json!("3fff:2::1")]);
}

#[test]
fn names_are_shown_and_can_be_filtered_by() {
    let (dir, _store) = household();
    let answer = ask(&dir, Subject::Contacts, &filter("device printer and name \"a *\""));
    assert_eq!(column(&answer, "label"), [json!("a site"), json!("a site")]);
    assert_eq!(column(&answer, "device_name"), [json!("printer"), json!("printer")]);
    assert_eq!(column(&ask(&dir, Subject::Locals, &filter("public")), "local"), [json!("2001:db8::b")]);
    let text = table::table(&answer, None);
    assert!(text.contains("2001:db8::a (printer)  3fff:1::2 (a site)  tcp 443"), "{text}");
}

#[test]
fn counts_go_by_any_columns() {
    let (dir, _store) = household();
    let by = |by: &str| ask(&dir, Subject::Probes, &RowsQuestion { by: Some(by.into()), ..RowsQuestion::default() });
    let answer = by("source/48,port");
    assert_eq!(answer.columns, ["source/48", "port", "count", "rows", "first", "last"]);
    assert_eq!((&answer.rows[0]["source/48"], &answer.rows[0]["port"]), (&json!("3fff:5::/48"), &json!(22)));
    assert_eq!(column(&answer, "count"), [2, 1, 1, 1]);
    let answer = by("ts/day");
    assert_eq!(column(&answer, "ts/day"), [json!("2026-09-03T00:00:00.000Z"), json!("2026-09-04T00:00:00.000Z")]);
    assert_eq!(column(&by("contacted_source"), "count"), [4, 1]);
    for (by, says) in [
        ("prt", "there is no column \"prt\""),
        ("remote/129", "wants a length from 0 to 128"),
        ("port/8", "wants no slash"),
        ("first/week", "wants minute, hour or day"),
        ("", "there is no column"),
    ] {
        let question = RowsQuestion { by: Some(by.into()), ..RowsQuestion::default() };
        let error = QueryPlan::new(Subject::Probes, &question, Time(0)).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn first_seen_lists_first_contacts_and_those_around_them() {
    let (dir, _store) = household();
    let question = RowsQuestion { first_seen: true, ..RowsQuestion::default() };
    let answer = ask(&dir, Subject::Contacts, &question);
    let remotes = ["3fff:2::1", "3fff:1::2", "3fff:9::9", "3fff:1::1"].map(|remote| json!(remote));
    assert_eq!(column(&answer, "remote"), remotes);

    let one = ask(&dir, Subject::Contacts, &RowsQuestion { by: Some("remote/32".into()), ..question.clone() });
    assert_eq!(one.rows[2]["remote/32"], json!("3fff:1::/32"));
    assert_eq!(one.rows[2]["first"], json!("2026-09-01T10:00:00.000Z"));
    assert_eq!(one.rows[2]["last"], json!("2026-09-02T10:00:00.000Z"));
    assert_eq!(one.rows[2]["began"].as_array().unwrap().len(), 2);

    let narrow =
        ask(&dir, Subject::Contacts, &RowsQuestion { filter: Some("remote 3fff:1::2".into()), ..question.clone() });
    assert_eq!(narrow.rows[0]["around"][0]["remote"], json!("3fff:9::9"));
    let text = table::table(&narrow, None);
    assert!(text.contains("The first contacts:") && text.contains("also contacted:\n2026-09-02 09:59:30"), "{text}");

    // Only groups whose first contact is in the window are listed.
    let since = RowsQuestion { since: at("2026-09-02T12:00:00Z"), ..question };
    assert_eq!(column(&ask(&dir, Subject::Contacts, &since), "remote"), [json!("3fff:2::1")]);
}

#[test]
fn scanners_are_campaigns_with_the_probes_that_pass() {
    let (dir, _store) = household();
    let answer = ask(&dir, Subject::Scanners, &filter("port 22, 80"));
    assert_eq!(column(&answer, "prefix"), [json!("3fff:5::/64"), json!("3fff:6::/64")]);
    let row = &answer.rows[0];
    assert_eq!((&row["probes"], &row["sources"], &row["targets"]), (&json!(3), &json!(2), &json!(2)));
    assert_eq!(row["ports"], json!([22, 80]));
    assert_eq!((&row["id"], &row["what"]), (&json!("c1"), &json!("syn 22 80 from 3fff:5::/64")));

    // A filter must not split a scanner.
    let ports = ask(&dir, Subject::Scanners, &filter("port 80"));
    assert_eq!((column(&ports, "id"), column(&ports, "what")), (vec![json!("c1")], vec![row["what"].clone()]));
    assert_eq!((column(&ports, "probes"), column(&ports, "sources")), (vec![json!(1)], vec![json!(1)]));
}

#[test]
fn a_scanner_in_many_networks_is_one_row() {
    let mut lines: Vec<Value> = (0..20)
        .map(|n| {
            let mut line = probe(&format!("03T11:{n:02}:00"), &format!("3fff:{:x}::1", 0x100 + n), "a", 22);
            line["window"] = json!(1_024);
            line["hop_limit"] = json!(240);
            line
        })
        .collect();
    lines.push(probe("04T11:00:00", "2602:80d:1000::1", "b", 443));
    let (dir, _store) = store(&lines);
    let answer = ask(&dir, Subject::Scanners, &RowsQuestion::default());
    assert_eq!(
        (column(&answer, "prefixes"), column(&answer, "sources")),
        (vec![json!(20), json!(1)], vec![json!(20), json!(1)])
    );
    assert_eq!(column(&answer, "operator"), [json!(null), json!("Censys")]);
    let text = table::table(&answer, None);
    assert!(text.contains("3fff:100::/64 and 19 more") && text.contains("2602:80d:1000::/64 (Censys)"), "{text}");
}

#[test]
fn published_sources_contain_nothing_of_ours() {
    let (dir, _store) = household();
    let answer = ask(&dir, Subject::Scanners, &RowsQuestion { publish: true, ..RowsQuestion::default() });
    assert_eq!(answer.schema, "tattler.sources/1");
    assert_eq!(column(&answer, "source"), ["3fff:5::2", "3fff:5::1", "3fff:6::1"].map(|source| json!(source)));
    assert_eq!(column(&answer, "attempts"), [2, 1, 1]);
    assert_eq!(answer.rows[0]["targets"], json!(2));
    assert_eq!(answer.notes, ["1 source is left out: yours had contacted them"]);
    let mut csv = Vec::new();
    csv::write(&answer, &mut csv).unwrap();
    let texts = [String::from_utf8(csv).unwrap(), answer.clone().into_value().to_string(), table::table(&answer, None)];
    for text in texts {
        for ours in ["2001:db8", "3fff:1::1", "a site", "printer"] {
            assert!(!text.contains(ours), "{ours} in {text}");
        }
    }
}

#[test]
fn published_path_probers_are_labelled() {
    let hop = |n: u64, source: &str| {
        let mut line = probe(&format!("03T11:00:{n:02}"), source, &"abcdef"[n as usize..=n as usize], 0);
        (line["kind"], line["hop_limit"]) = (json!("echo"), json!(3 + n));
        line
    };
    let mut lines: Vec<Value> = (0..6).map(|n| hop(n, "3fff:7::1")).collect();
    lines.push(probe("03T12:00:00", "2602:80d:1000::1", "a", 443));
    let (dir, _store) = store(&lines);
    let answer = ask(&dir, Subject::Scanners, &RowsQuestion { publish: true, ..RowsQuestion::default() });
    assert_eq!(column(&answer, "labels")[0], json!(["path-probe", "one-off"]));
    assert_eq!(column(&answer, "labels")[1], json!(["known-operator", "one-off"]));
    assert_eq!(column(&answer, "operator"), [json!(null), json!("Censys")]);
    assert!(table::table(&answer, None).contains("path probe: echo"), "{}", table::table(&answer, None));
}

#[test]
fn only_locals_with_a_contact_are_listed() {
    let (dir, _store) = household();
    let answer = ask(&dir, Subject::Locals, &RowsQuestion::default());
    assert_eq!(column(&answer, "local"), [json!("2001:db8::b"), json!("2001:db8::a")]);
    assert_eq!(column(&answer, "contacts"), [1, 3]);
    assert_eq!(column(&answer, "probes"), [1, 3]);
}

#[test]
fn a_table_fits_a_narrow_terminal() {
    let (dir, _store) = household();
    let answer = ask(&dir, Subject::Contacts, &RowsQuestion::default());
    let widest = |width| table::table(&answer, Some(width)).lines().map(|line| line.chars().count()).max().unwrap();
    for width in [40, 60, 80, 100, 200] {
        assert!(widest(width) <= width.into(), "{width}: {}", table::table(&answer, Some(width)));
    }
    let narrow = table::table(&answer, Some(65));
    assert!(narrow.contains("3fff:1::2 ") && narrow.contains(" (a site)"), "{narrow}");
    assert!(table::table(&answer, Some(200)).contains("first") && !table::table(&answer, Some(75)).contains("first"));
}

#[test]
fn control_characters_in_names_are_escaped() {
    let mut line = contact("01T10:00:00", "a", "3fff:8::1", 443);
    line["name"] = json!("\u{1b}[2Jgone\n");
    let (dir, _store) = store(&[line]);
    let text = table::table(&ask(&dir, Subject::Contacts, &RowsQuestion::default()), None);
    assert!(text.contains("\\u{1b}[2Jgone\\n") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn csv_has_a_line_for_each_row_with_lists_in_one_cell() {
    let (dir, _store) = household();
    let mut out = Vec::new();
    csv::write(&ask(&dir, Subject::Scanners, &filter("port 22, 80")), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "id,prefix,label,what,operator,prefixes,probes,sources,targets,kinds,ports,answered,rhythm,labels,first,last"
    );
    let row =
        "c1,3fff:5::/64,,syn 22 80 from 3fff:5::/64,,1,3,2,2,syn,22 80,0,one-off,one-off,2026-09-03T11:00:00.000Z,";
    assert!(lines[1].starts_with(row), "{}", lines[1]);
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_contradictory_question_is_refused_before_reading() {
    let refused =
        |subject, question: &RowsQuestion| QueryPlan::new(subject, question, Time(0)).err().unwrap().to_string();
    let backwards = RowsQuestion { since: at("2026-09-02"), until: at("2026-09-01"), ..RowsQuestion::default() };
    assert!(refused(Subject::Probes, &backwards).contains("swap them"));
    let first = RowsQuestion { first_seen: true, ..RowsQuestion::default() };
    assert!(refused(Subject::Probes, &first).contains("is for contacts"));
    let publish = RowsQuestion { publish: true, ..RowsQuestion::default() };
    assert!(refused(Subject::Probes, &publish).contains("is for scanners"));
    assert!(refused(Subject::Locals, &filter("kind syn")).contains("there is no field `kind` here"));
    assert!(
        refused(Subject::Contacts, &RowsQuestion { except: vec!["port x".into()], ..RowsQuestion::default() })
            .contains("column 6")
    );
}

#[test]
fn a_question_survives_the_socket_unchanged() {
    let question = RowsQuestion { by: Some("port".into()), since: at("2026-09-01"), ..filter("port 22") };
    let request = crate::contract::Request::Probes(question);
    let line = serde_json::to_string(&request).unwrap();
    assert_eq!(line, r#"{"query":"probes","since":"2026-09-01T00:00:00.000Z","filter":"port 22","by":"port"}"#);
    assert_eq!(serde_json::from_str::<crate::contract::Request>(&line).unwrap(), request);
    assert!(serde_json::from_str::<crate::contract::Request>(r#"{"query":"probes","unknown":1}"#).is_err());
}
