//! The rules for TCP and exposed hosts with real sockets, each with a counter-example. Runs as root.

use std::io::{Read, Write};

use ipnet::Ipv6Net;
use sensor_common::wire::What;
use sensor_common::{Kind, Proto};
use serde_json::json;
use tattler_core::attribution::Verdict;
use tattler_core::home::HomeSettings;
use tattler_core::report::{self, ReportOptions};
use tattler_core::view::evidence::Evidence;
use tempfile::TempDir;
use tests::dial::dial;
use tests::eventually;
use tests::sensor::{Sensor, WAN0};
use tests::traffic::{accept, listen, ping};
use tests::watcher::{Watcher, watched};
use tests::world::{HOST, POOL, SCANNER, SITE, STRANGER, World};

#[test]
fn a_server_that_connects_back_is_no_leak_and_exposes_nobody() {
    let (world, mut watcher) = watched();
    // Active FTP (RFC 959): the client listens, and the server's data connection comes from port 20.
    let _control = listen(&world.internet, SITE, 21);
    let data = listen(&world.host, HOST, 40_001);
    let _session = dial(&world.host, (HOST, 0), (SITE, 21)).expect("the control connection");
    let mut sent = dial(&world.internet, (SITE, 20), (HOST, 40_001)).expect("the data connection");
    let mut received = accept(&data);
    sent.write_all(b"a file").unwrap();
    drop(sent);
    let mut file = String::new();
    received.read_to_string(&mut file).unwrap();
    assert_eq!(file, "a file");

    // IRC: the server asks for the user (RFC 1413) at a closed port.
    let _irc = listen(&world.internet, POOL, 6_667);
    let _session = dial(&world.host, (HOST, 0), (POOL, 6_667)).expect("a session");
    assert!(dial(&world.internet, (POOL, 0), (HOST, 113)).is_err());

    assert_eq!(watcher.evidence(SITE), [(Kind::Syn, 40_001, Evidence::Exact, true)]);
    assert_eq!(watcher.evidence(POOL), [(Kind::Syn, 113, Evidence::Exact, true)]);
    let exposed = report::exposed(&watcher.ledger);
    assert_eq!(exposed.iter().map(|e| (e.service(), e.open)).collect::<Vec<_>>(), [("tcp/40001".to_owned(), false)]);
    // Counter-example: a stranger at the same ports is a scanner, and one port is open.
    let _ = dial(&world.internet, (STRANGER, 0), (HOST, 40_001)).expect("it still listens");
    assert!(dial(&world.internet, (STRANGER, 0), (HOST, 113)).is_err());
    assert_eq!(
        watcher.evidence(STRANGER),
        [(Kind::Syn, 40_001, Evidence::Exact, false), (Kind::Syn, 113, Evidence::Exact, false)]
    );
    assert_eq!(report::open_locals(&report::exposed(&watcher.ledger)), 1);
    // Remotes that were contacted and probe back are labelled so, and are no leaks.
    let report = report::report(&watcher.ledger, &ReportOptions { top: 0 });
    assert!(!report.candidates.is_empty());
    for candidate in &report.candidates {
        assert_eq!(candidate.verdict, Verdict::ProbesBack, "{:?}", candidate.members);
    }
}

#[test]
fn a_public_server_is_neither_evidence_nor_exposed() {
    let world = World::new();
    let public: Ipv6Net = format!("{HOST}/128").parse().unwrap();
    let mut watcher = Watcher::told(&world.router, "wan0", &HomeSettings::default(), &[public]);
    let _site = listen(&world.internet, SITE, 443);
    let _web = listen(&world.host, HOST, 80);
    let _ = dial(&world.host, (HOST, 0), (SITE, 443)).expect("an update");
    let _ = dial(&world.internet, (STRANGER, 0), (HOST, 80)).expect("a visit");
    assert_eq!(watcher.evidence(STRANGER), [(Kind::Syn, 80, Evidence::Public, false)]);
    assert!(watcher.ledger.probes()[0].answered);
    assert_eq!(report::exposed(&watcher.ledger), []);

    // Counter-example: the same server, not configured as public.
    drop(watcher);
    let mut watcher = Watcher::new(&world.router, "wan0");
    let _ = dial(&world.host, (HOST, 0), (SITE, 443)).expect("an update");
    let _ = dial(&world.internet, (STRANGER, 0), (HOST, 80)).expect("a visit");
    assert_eq!(watcher.evidence(STRANGER), [(Kind::Syn, 80, Evidence::Exact, false)]);
    assert_eq!(report::open_locals(&report::exposed(&watcher.ledger)), 1);
}

#[test]
fn of_a_connection_only_the_syn_counts() {
    let (world, mut watcher) = watched();
    let site = listen(&world.internet, SITE, 80);
    let mut ours = dial(&world.host, (HOST, 0), (SITE, 80)).unwrap();
    let mut theirs = accept(&site);
    for _ in 0..10 {
        ours.write_all(&[1; 5_000]).unwrap();
        theirs.read_exact(&mut [0; 5_000]).unwrap();
        theirs.write_all(&[2; 5_000]).unwrap();
        ours.read_exact(&mut [0; 5_000]).unwrap();
    }
    drop((ours, theirs));
    assert_eq!((watcher.matched(What::Contact), watcher.matched(What::Probe)), (1, 0));
    assert_eq!(watcher.contacts(), [(HOST, SITE, Proto::Tcp, 80)]);
    // A RST is no answer.
    assert!(dial(&world.internet, (SCANNER, 0), (HOST, 22)).is_err());
    assert_eq!((watcher.matched(What::Probe), watcher.matched(What::Answer)), (1, 0));
}

#[test]
fn a_host_that_answers_a_stranger_is_reported_once() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    // An answered ping is counted without a warning.
    ping(&world.internet, SCANNER, HOST);
    let _ssh = listen(&world.host, HOST, 22);
    for port in [0, 40_000] {
        let _ = dial(&world.internet, (STRANGER, port), (HOST, 22)).expect("it listens");
    }
    let _ = dial(&world.internet, (SCANNER, 0), (HOST, 22)).expect("it listens");
    let status = eventually("both sources are counted", || {
        let status = sensor.status();
        (status["exposed"][0]["sources"] == 2).then_some(status)
    });
    assert_eq!(status["exposed_locals"], 1);
    let exposed = status["exposed"].as_array().unwrap();
    assert_eq!(exposed.len(), 1, "an echo reply is no service");
    assert_eq!(
        (&exposed[0]["kind"], &exposed[0]["port"], &exposed[0]["answer"], &exposed[0]["open"]),
        (&json!("syn"), &json!(22), &json!("syn-ack"), &json!(true))
    );
    assert!(exposed[0]["device"].as_str().is_some_and(|device| device.starts_with("dev-")), "{exposed:?}");
    assert_eq!(status["answered_pings"], 1);
    let told = format!("answered tcp/22 to {STRANGER}");
    assert_eq!(sensor.log().matches("a host behind this router is open").count(), 1, "{}", sensor.log());
    assert!(sensor.log().contains(&told), "{}", sensor.log());
    assert!(sensor.metrics().contains("\ntattler_exposed_locals 1\n"));
    sensor.stop();

    // Counter-example: no second warning for the same service, and none for a public server.
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let _ = dial(&world.internet, (POOL, 0), (HOST, 22)).expect("it listens");
    eventually("the third source", || (sensor.status()["exposed"][0]["sources"] == 3).then_some(()));
    assert!(!sensor.log().contains("is open"), "{}", sensor.log());
    sensor.stop();
    let public = ["--interface", "wan0", "--public", &HOST.to_string()];
    let sensor = Sensor::start(&world.router, state.path(), &public);
    assert_eq!(sensor.status()["exposed"], json!([]));
    sensor.stop();
}
