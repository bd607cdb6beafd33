//! Explanations of simulated cases with known truth.

use sensor_common::Kind;

use super::rivals::Weight;
use super::*;
use crate::attribution::Rival;
use crate::observation::{Observation, Probe, Traits};
use crate::report::tests::{POOL, RARE, SCANNER, SITE, addr, changed, contact, january_2016, ledger, local, probe};
use crate::report::{ReportOptions, report, suspects_table};
use crate::time::Time;

/// Assigns each local to the device with the local's number modulo `devices`.
fn with_devices(devices: i64) -> Vec<Observation> {
    changed(|contact| contact.device = Some(format!("device-{}", contact.ts.0 / 100_000_000 % devices)))
}

fn explained(observations: &[Observation], remote: &str) -> Explanation {
    explain(&ledger(observations), addr(remote))
}

fn weight(explanation: &Explanation, rival: &str) -> Option<Weight> {
    explanation.rivals.iter().find(|weighed| weighed.rival == rival).map(|weighed| weighed.weight)
}

#[test]
fn an_accusation_gives_meaning_counts_and_rivals() {
    let explanation = explained(&with_devices(24), POOL);
    assert!(explanation.headline.starts_with("It passes on the addresses that contact it"), "{explanation:#?}");
    for rival in ["chance", "few-locals", "one-device", "on-path", "one-of-several"] {
        assert_eq!(weight(&explanation, rival), Some(Weight::RuledOut), "{rival}: {explanation:#?}");
    }
    assert!(explanation.visits.len() == 8 && explanation.visits.is_sorted_by_key(|visit| visit.ts));
    let text = explanation_text(&explanation);
    for part in [
        "2a05::123: strong, rank 1 of ",
        "8 temporary addresses contacted it; 8 of them (100 %) were then probed by c1.",
        "Of 16 addresses that had not contacted it by then, 0 (0 %) were probed by the same.",
        "The odds to be probed are",
        "Fisher's exact test",
        "times as likely if it leaks",
        "From the last contact with it to the first of these probes it took 3.0 s (median).",
        "The count of 2015",
        "the probed visitors are 8 devices",
        "used for a contact with it and for nothing else would prove it",
        "1970-01-01 00:00:05  2001:db8::e014:9aff:5e49:101 (device-0), udp 123\n",
        "              +3.0 s  syn 22 from 2a0d:5600::29, c1\n",
        "  c1: syn 22 from 2a0d:5600::/64\n",
    ] {
        // Ignore line breaks.
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&text).contains(&flat(part)), "{part}\n{text}");
    }
    let json = serde_json::to_string(&explanation).unwrap();
    let read: Explanation = serde_json::from_str(&json).unwrap();
    assert_eq!((read.rivals, read.says, read.lags), (explanation.rivals, explanation.says, explanation.lags));
}

#[test]
fn without_known_devices_that_rival_is_not_ruled_out() {
    let explanation = explained(&january_2016(), POOL);
    assert_eq!(weight(&explanation, "one-device"), Some(Weight::Unknown));
    assert!(explanation.settle.iter().any(|step| step.contains("on the router")), "{:?}", explanation.settle);
}

#[test]
fn evidence_from_one_device_is_noted_in_table_and_explanation() {
    let all = changed(|contact| {
        let n = contact.ts.0 / 100_000_000;
        contact.device = Some(if n % 3 == 0 || n % 2 == 1 { "tv".into() } else { format!("device-{n}") });
    });
    let report = report(&ledger(&all), &ReportOptions::default());
    let candidate = &report.candidates[0];
    assert!(candidate.rivals.contains(&Rival::OneDevice), "{candidate:#?}");
    let hint = if candidate.verdict.accuses() { "(one device)" } else { "(its device?)" };
    assert!(suspects_table(&report).contains(hint), "{}", suspects_table(&report));
    let explanation = explained(&all, POOL);
    assert_eq!(weight(&explanation, "one-device"), Some(Weight::Open));
    assert!(explanation.settle.iter().any(|step| step.contains("another device")), "{:?}", explanation.settle);
}

#[test]
fn indistinguishable_remotes_are_accused_as_one_of_them() {
    let mut all = Vec::new();
    for n in 0..60i64 {
        let (at, local) = (n * 100, local(n as u64));
        all.extend((0..6).map(|k| contact(at + k * 10, local, &format!("2a06:{:x}::80", 1 + (n * 5 + k * 7) % 19))));
        if n % 3 == 0 {
            all.extend([contact(at + 35, local, POOL), contact(at + 35, local, "2a09::1")]);
            all.push(probe(at + 38, SCANNER, local));
        }
    }
    let explanation = explained(&all, POOL);
    assert!(explanation.headline.starts_with("One of 2 remotes"), "{}", explanation.headline);
    assert_eq!(weight(&explanation, "one-of-several"), Some(Weight::Open));
    let named = explanation.rivals.iter().any(|weighed| weighed.why.contains("2a05::123, 2a09::1"));
    assert!(named && explanation.settle[0].contains("Contact each of the 2"), "{explanation:#?}");
    assert!(suspects_table(&report(&ledger(&all), &ReportOptions::default())).contains("(one of them)"));
}

#[test]
fn a_content_network_may_be_any_of_its_sites() {
    let cdn = "2606:4700::6810:1";
    let all = changed(|contact| {
        if contact.remote == addr(POOL) {
            contact.remote = addr(cdn);
        }
    });
    let explanation = explained(&all, cdn);
    assert_eq!(weight(&explanation, "many-sites"), Some(Weight::Open));
    assert!(explanation.headline.contains("one of many sites behind one address"), "{}", explanation.headline);
    assert!(explanation.settle.iter().any(|step| step.contains("tattler contacts remote 2606:4700::6810:1")));
}

#[test]
fn remotes_that_are_no_candidates_get_a_headline_too() {
    let mut all = january_2016();
    all.extend([1, 4, 7].map(|n| contact(n * 100 + 9, local(n as u64), "2a0b::1")));
    let says = |remote: &str| explained(&all, remote).headline;
    assert!(says(SITE).starts_with("Can't be told: 24 of 24 temporary addresses (100 %)"), "{}", says(SITE));
    assert!(
        says("2a0f::1").starts_with("Not seen: no local address contacted it from 1970-01-01"),
        "{}",
        says("2a0f::1")
    );
    assert!(says("2a0b::1").starts_with("Nothing speaks against it"), "{}", says("2a0b::1"));
    let scanner = explanation_text(&explained(&all, SCANNER));
    assert!(scanner.contains("Not seen") && scanner.contains("It sent 8 probes itself."), "{scanner}");
    assert!(explain(&ledger(&[]), addr(POOL)).headline.starts_with("Not seen: nothing at all"));
}

#[test]
fn a_remote_that_probes_back_is_explained_by_its_own_probes() {
    let mut all = january_2016();
    all.extend((0..24).filter(|n| n % 4 == 1).map(|n| probe(n * 100 + 4, RARE, local(n as u64))));
    let explanation = explained(&all, RARE);
    assert!(explanation.headline.contains("proves no leak"), "{}", explanation.headline);
    assert!(explanation.rivals.is_empty() && explanation.lags.is_empty());
    let text = explanation_text(&explanation);
    let timeline = text.split("its own probes followed").nth(1).unwrap();
    assert!(timeline.contains("+2.0 s  syn 22 from 2a07:") && !timeline.contains(SCANNER), "{text}");
}

#[test]
fn path_probes_are_marked_and_are_no_evidence() {
    let mut all = january_2016();
    for n in (0..24).filter(|n| n % 3 == 0) {
        let Observation::Probe(probe) = probe(n * 100 + 7, "2a0e::1", local(n as u64)) else { panic!() };
        // A traceroute by ping to each visitor.
        all.extend((0..6).map(|hop| {
            let ts = Time(probe.ts.0 + i64::from(hop) * 100_000);
            let traits = Traits { hop_limit: Some(3 + hop), ..Traits::default() };
            Observation::Probe(Probe { ts, kind: Kind::Echo, port: 0, traits, ..probe.clone() })
        }));
    }
    let explanation = explained(&all, POOL);
    let hops: Vec<&super::visits::Followed> =
        explanation.visits.iter().flat_map(|visit| &visit.probes).filter(|probe| probe.kind == "echo").collect();
    assert_eq!(hops.len(), 8, "{explanation:#?}");
    assert!(hops.iter().all(|probe| probe.path_probe && !probe.counts && probe.evidence == "exact-hit"));
    assert_eq!(explanation.candidate.as_ref().unwrap().explained_probes, 8);
    let text = explanation_text(&explanation);
    assert!(text.contains("1 other probe\n") && !text.contains("2a0e::1"), "{text}");
    // Without other probes there is no candidate, and the probes of the traceroute are shown as path probes.
    all.retain(|observation| !matches!(observation, Observation::Probe(probe) if probe.kind == Kind::Syn));
    let text = explanation_text(&explained(&all, POOL));
    assert!(text.contains("echo from 2a0e::1, c1 (path probe: no evidence)"), "{text}");
}

#[test]
fn a_remote_explained_by_another_is_not_accused() {
    let mut all = january_2016();
    all.extend([0, 3, 6].map(|n| contact(n * 100 + 2, local(n as u64), "2a0b::1")));
    let explanation = explained(&all, "2a0b::1");
    assert_eq!(weight(&explanation, "another-remote"), Some(Weight::Likelier), "{explanation:#?}");
    assert_eq!(explanation.headline, "Not accused: better explained by another remote.");
    assert!(
        explanation.rivals[0].why.starts_with("3 of its 3 probed visitors had contacted 2a05::123 before (rank 1, ")
    );
}

#[test]
fn if_all_locals_are_probed_a_listener_is_likelier() {
    let mut all = Vec::new();
    for n in 0..40u64 {
        let at = n as i64 * 1_000;
        all.extend(
            (0..6).map(|site| contact(at + site, local(n), &format!("2a06::{:x}", (n * 7 + site as u64 * 5) % 60))),
        );
        all.push(probe(at + 300, SCANNER, local(n)));
    }
    let report = report(&ledger(&all), &ReportOptions::default());
    assert!(suspects_table(&report).contains("a listener on the path"), "{}", suspects_table(&report));
    let explanation = explain(&ledger(&all), report.candidates[0].members[0]);
    assert_eq!(weight(&explanation, "on-path"), Some(Weight::Likelier), "{explanation:#?}");
    assert!(explanation.settle.iter().any(|step| step.contains("Another resolver")));
}

#[test]
fn all_probed_visitors_are_in_the_lags_and_all_visits_counted() {
    let mut all = january_2016();
    for n in 24..64u64 {
        all.push(contact(n as i64 * 100 + 5, local(n), POOL));
        all.push(probe(n as i64 * 100 + 5 + if n % 2 == 0 { 4 } else { 30 }, SCANNER, local(n)));
    }
    let explanation = explained(&all, POOL);
    let lags: Vec<u64> = explanation.lags.iter().map(|bin| bin.locals).collect();
    assert_eq!(lags, [28, 20, 0, 0, 0, 0, 0]);
    assert_eq!(explanation.candidate.as_ref().unwrap().explained_locals, 48);
    let text = explanation_text(&explanation);
    assert!(text.contains("█ 28") && text.contains("and 33 more such contacts"), "{text}");
}

#[test]
fn odds_are_the_cross_product_and_finite_with_an_empty_cell() {
    let table = |contacted_probed, contacted_spared, others_probed, others_spared| TwoByTwo {
        contacted_probed,
        contacted_spared,
        others_probed,
        others_spared,
    };
    let odds = Odds::of(&table(10, 5, 4, 20)).unwrap();
    assert!((odds.ratio - 10.0).abs() < 1e-9 && !odds.corrected);
    assert!(odds.interval_95[0] < 10.0 && odds.interval_95[1] > 10.0, "{odds:?}");
    // (8.5 * 16.5) / (0.5 * 0.5)
    let odds = Odds::of(&table(8, 0, 0, 16)).unwrap();
    assert!((odds.ratio - 561.0).abs() < 1e-9 && odds.corrected && odds.interval_95[1].is_finite());
    assert_eq!(Odds::of(&table(8, 16, 0, 0)), None);
}
