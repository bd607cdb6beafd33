use proptest::prelude::*;
use sensor_common::{Kind, Proto};

use super::*;
use crate::ack::Ack;
use crate::explain::{explain, explanation_text};
use crate::ledger::LedgerSettings;
use crate::ledger::tests::any_observation;
use crate::observation::{Contact, Observation, Probe};

pub(crate) fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub(crate) fn local(n: u64) -> Ipv6Addr {
    Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(0xe014_9aff_5e49_0101 + (n << 32)))
}

pub(crate) fn contact(ts: i64, local: Ipv6Addr, remote: &str) -> Observation {
    let (ts, remote) = (Time::from_seconds(ts), addr(remote));
    let (proto, port) = (Proto::Udp, 123);
    Observation::Contact(Contact::new(ts, local, remote, proto, port))
}

pub(crate) fn probe(ts: i64, source: &str, target: Ipv6Addr) -> Observation {
    Observation::Probe(Probe::new(Time::from_seconds(ts), addr(source), target, Kind::Syn, 22))
}

pub(crate) const POOL: &str = "2a05::123";
pub(crate) const SITE: &str = "2a06::80";
pub(crate) const RARE: &str = "2a07:1234:5678:9abc:def0:1234:5678:9abc";
pub(crate) const SCANNER: &str = "2a0d:5600::29";

/// January 2016: locals query an NTP server, and seconds later a scanner from elsewhere probes the locals. All locals
/// visit the site, some visit the rare site.
pub(crate) fn january_2016() -> Vec<Observation> {
    let mut all = Vec::new();
    for n in 0..24u64 {
        let (at, local) = (n as i64 * 100, local(n));
        all.push(contact(at, local, SITE));
        all.push(contact(at + 1, local, &format!("2a06::{:x}", 0x81 + n % 5)));
        if n % 4 == 1 {
            all.push(contact(at + 2, local, RARE));
        }
        if n % 3 == 0 {
            all.push(contact(at + 5, local, POOL));
            all.push(probe(at + 8, SCANNER, local));
        }
    }
    all
}

/// The observations of January 2016 with changed contacts.
pub(crate) fn changed(mut change: impl FnMut(&mut Contact)) -> Vec<Observation> {
    let mut all = january_2016();
    for observation in &mut all {
        if let Observation::Contact(contact) = observation {
            change(contact);
        }
    }
    all
}

pub(crate) fn ledger(observations: &[Observation]) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    observations.iter().for_each(|o| ledger.observe(o));
    ledger
}

#[test]
fn the_ntp_server_of_january_2016_is_accused() {
    let report = report(&ledger(&january_2016()), &ReportOptions::default());
    let first = &report.candidates[0];
    assert_eq!((first.verdict, first.members.as_slice()), (Verdict::Strong, &[addr(POOL)][..]), "{report:#?}");
    assert_eq!((first.contacted, first.contacted_probed, first.explained_probes), (8, 8, 8));
    assert_eq!(first.median_lag_seconds, Some(3.0));
    assert_eq!(first.prefix.to_string(), "2a05::123/128");
    assert_eq!(first.campaigns, ["c1"]);
    assert!(report.candidates[1..].iter().all(|c| !c.verdict.accuses()));
    let site = report.candidates.iter().find(|c| c.members == [addr(SITE)]).unwrap();
    assert_eq!(site.verdict, Verdict::NotIdentifiable);
    assert_eq!((report.probed_locals, report.unexplained_share), (8, Some(0.0)));
}

#[test]
fn a_report_is_the_contract_and_reads_back_the_same() {
    let report = report(&ledger(&january_2016()), &ReportOptions::default());
    let text = serde_json::to_string(&report).unwrap();
    let keys =
        ["schema", "window", "locals", "probed_locals", "probes", "unexplained_share", "campaigns", "candidates"];
    let places: Vec<usize> = keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.starts_with("{\"schema\":\"tattler.report/1\",\"window\":{\"from\":\"1970-01-01T00:00:00.000Z\""));
    assert!(
        text.contains("\"verdict\":\"strong\",\"members\":[\"2a05::123\"],\"prefix\":\"2a05::123/128\",\"score\":")
    );
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn an_acknowledged_suspect_is_only_counted_until_it_expires() {
    let now = Time::from_seconds(100_000);
    let ack = |remote: &str, until| Ack {
        remote: remote.parse().unwrap(),
        at: Time::from_seconds(90_000),
        until,
        note: Some("our own monitor".into()),
    };
    let marked = |acks: &[Ack]| {
        let mut report = report(&ledger(&january_2016()), &ReportOptions::default());
        report.mark_acked(acks, now);
        report
    };
    let acked = marked(&[ack("2a05::/32", None), ack("2a0f::/16", None)]);
    assert_eq!(acked.candidates[0].acked.as_ref().unwrap().note.as_deref(), Some("our own monitor"));
    assert_eq!(acked.candidates.iter().filter(|c| c.acked.is_some()).count(), 1);
    let text = suspects_table(&acked);
    assert!(!text.contains(POOL) && text.ends_with("\n1 acknowledged; --all shows them\n"), "{text}");
    assert!(text.contains("Nobody is accused who was not acknowledged."), "{text}");
    assert!(all_suspects_table(&acked).contains("strong (acknowledged)  2a05::123"));
    let json = serde_json::to_string(&acked).unwrap();
    assert!(json.contains(r#""acked":{"until":null,"note":"our own monitor","at":"1970-01-02T01:00:00.000Z"}}"#));
    assert!(json.contains(r#""acked":null}"#));
    // An acknowledgement does not apply if it has expired or covers only some members.
    for other in [ack("2a05::124/128", None), ack("2a05::/32", Some(now))] {
        assert!(suspects_table(&marked(&[other])).contains(POOL));
    }
}

#[test]
fn a_candidate_is_shown_with_the_label_of_its_prefix() {
    let mut names = crate::names::Names::default();
    names.label_prefix("2a05::/32".parse().unwrap(), "a pool");
    let mut report = report(&ledger(&january_2016()), &ReportOptions::default());
    report.candidates.iter_mut().for_each(|candidate| candidate.name(&names));
    assert!(suspects_table(&report).contains("2a05::123 (a pool)"), "{}", suspects_table(&report));
    assert_eq!(report.candidates.iter().filter(|candidate| candidate.label.is_some()).count(), 1);
}

/// The report if visitors of the pool contact other addresses. `address` maps the number of a visit to its remote.
fn report_with_pools(address: impl Fn(u128) -> u128) -> Report {
    let all = changed(|contact| {
        if contact.remote == addr(POOL) {
            contact.remote = Ipv6Addr::from(address(contact.ts.0 as u128 / 300_000_000));
        }
    });
    report(&ledger(&all), &ReportOptions::default())
}

#[test]
fn a_harvester_with_many_addresses_is_accused_by_operator_or_prefix() {
    // Prefixes that the catalogue assigns to one operator.
    let censys = ["2602:80d:1000::", "2620:96:e000::"].map(|prefix| u128::from(addr(prefix)));
    let report = report_with_pools(|n| censys[n as usize % 2] | n);
    let first = &report.candidates[0];
    assert_eq!((first.operator.as_deref(), first.members.len()), (Some("Censys"), 8), "{first:?}");
    assert!(first.verdict.accuses(), "{first:?}");
    let report = report_with_pools(|n| u128::from(addr("2a05::")) | n);
    assert_eq!(report.candidates[0].prefix.to_string(), "2a05::/64");
    assert_eq!((report.candidates[0].verdict, report.candidates[0].members.len()), (Verdict::Strong, 8));
}

#[test]
fn a_short_list_leaves_room_for_remotes_that_probe_back() {
    let mut all = january_2016();
    all.push(probe(104, RARE, local(1)));
    let ledger = ledger(&all);
    let short = report(&ledger, &ReportOptions { top: 4 });
    assert_eq!(short.candidates.len(), 4);
    assert_eq!(short.candidates[3].verdict, Verdict::ProbesBack);
    assert_eq!(short.candidates.iter().map(|c| c.rank).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(report(&ledger, &ReportOptions { top: 0 }).candidates.len() > 4);
    assert_eq!(report(&ledger, &ReportOptions { top: 1 }).candidates[0].verdict, Verdict::Strong);
}

#[test]
fn tables_fit_a_hundred_columns_with_the_longest_addresses() {
    let all = changed(|c| {
        c.remote = Ipv6Addr::from(u128::from(c.remote) | 0xffff_1234_ffff_5678_ffff_0000_0000 << 16);
    });
    let ledger = ledger(&all);
    let report = report(&ledger, &ReportOptions::default());
    let suspect = report.candidates[0].members[0];
    for text in [suspects_table(&report), explanation_text(&explain(&ledger, suspect))] {
        assert!(text.contains(&suspect.to_string()), "addresses are not broken:\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

proptest! {
    #[test]
    fn any_observations_give_a_report_and_explanations(
        observations in prop::collection::vec(any_observation(), 0..150),
    ) {
        let ledger = ledger(&observations);
        let report = report(&ledger, &ReportOptions { top: 0 });
        for candidate in &report.candidates {
            prop_assert!(candidate.contacted_probed <= candidate.contacted);
            let remote = candidate.members[0];
            prop_assert!(explain(&ledger, remote).candidate.is_some());
        }
        _ = suspects_table(&report);
        let text = serde_json::to_string(&report).unwrap();
        prop_assert_eq!(serde_json::from_str::<Report>(&text).is_ok(), true);
    }

    #[test]
    fn the_order_of_equal_times_makes_no_difference(
        mut observations in prop::collection::vec(any_observation(), 0..100), seed in any::<u64>(),
    ) {
        observations.sort_by_key(Observation::ts);
        let mut shuffled = observations.clone();
        let mut state = seed | 1;
        // Shuffle only observations with equal times: the UDP rule looks back in time.
        shuffled.sort_by_cached_key(|o| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (o.ts(), state >> 32)
        });
        let options = ReportOptions { top: 0 };
        prop_assert_eq!(report(&ledger(&observations), &options), report(&ledger(&shuffled), &options));
    }
}
