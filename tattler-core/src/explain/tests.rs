//! What an explanation says, in cases whose truth is known.

use sensor_common::Kind;

use super::rivals::Weight;
use super::*;
use crate::attribution::Rival;
use crate::observation::{Observation, Probe, Traits};
use crate::report::tests::{POOL, RARE, SCANNER, SITE, addr, contact, january_2016, ledger, local, probe};
use crate::report::{Options, report, suspects_table};
use crate::time::Time;

/// January 2016 with other things in it.
fn changed(change: impl Fn(&mut Observation)) -> Vec<Observation> {
    let mut all = january_2016();
    all.iter_mut().for_each(change);
    all
}

/// Each local is of the device with its number modulo `devices`.
fn with_devices(devices: i64) -> Vec<Observation> {
    changed(|observation| {
        if let Observation::Contact(contact) = observation {
            contact.device = Some(format!("device-{}", contact.ts.0 / 100_000_000 % devices));
        }
    })
}

fn told(observations: &[Observation], remote: &str) -> Explanation {
    explain(&ledger(observations), addr(remote))
}

fn weight(explanation: &Explanation, rival: &str) -> Option<Weight> {
    explanation.rivals.iter().find(|weighed| weighed.rival == rival).map(|weighed| weighed.weight)
}

#[test]
fn an_accusation_says_what_it_means_what_was_counted_and_which_rivals_lost() {
    let explanation = told(&with_devices(24), POOL);
    assert!(explanation.headline.starts_with("It passes on the addresses that contact it"), "{explanation:#?}");
    for rival in ["chance", "few-locals", "one-device", "on-path", "one-of-several"] {
        assert_eq!(weight(&explanation, rival), Some(Weight::RuledOut), "{rival}: {explanation:#?}");
    }
    let text = explanation_text(&explanation);
    for part in [
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
        // Wherever lines are broken.
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&text).contains(&flat(part)), "{part}\n{text}");
    }
    let json = serde_json::to_string(&explanation).unwrap();
    let read: Explanation = serde_json::from_str(&json).unwrap();
    assert_eq!((read.rivals, read.says, read.lags), (explanation.rivals, explanation.says, explanation.lags));
}

#[test]
fn where_devices_are_not_known_that_rival_is_not_called_beaten() {
    let explanation = told(&january_2016(), POOL);
    assert_eq!(weight(&explanation, "one-device"), Some(Weight::Unknown));
    assert!(explanation.settle.iter().any(|step| step.contains("on the router")), "{:?}", explanation.settle);
}

#[test]
fn evidence_from_one_device_is_said_in_the_table_and_in_the_explanation() {
    let all = changed(|observation| {
        if let Observation::Contact(contact) = observation {
            let n = contact.ts.0 / 100_000_000;
            contact.device = Some(if n % 3 == 0 || n % 2 == 1 { "tv".into() } else { format!("device-{n}") });
        }
    });
    let report = report(&ledger(&all), &Options::default());
    let candidate = &report.candidates[0];
    assert!(candidate.rivals.contains(&Rival::OneDevice), "{candidate:#?}");
    let hint = if candidate.verdict.accuses() { "(one device)" } else { "(its device?)" };
    assert!(suspects_table(&report).contains(hint), "{}", suspects_table(&report));
    let explanation = told(&all, POOL);
    assert_eq!(weight(&explanation, "one-device"), Some(Weight::Open));
    assert!(explanation.settle.iter().any(|step| step.contains("another device")), "{:?}", explanation.settle);
}

#[test]
fn remotes_that_cannot_be_told_apart_are_accused_as_one_of_them() {
    let mut all = Vec::new();
    for n in 0..60i64 {
        let (at, local) = (n * 100, local(n as u64));
        all.extend((0..6).map(|k| contact(at + k * 10, local, &format!("2a06:{:x}::80", 1 + (n * 5 + k * 7) % 19))));
        if n % 3 == 0 {
            all.extend([contact(at + 35, local, POOL), contact(at + 35, local, "2a09::1")]);
            all.push(probe(at + 38, SCANNER, local));
        }
    }
    let explanation = told(&all, POOL);
    assert!(explanation.headline.starts_with("One of 2 remotes"), "{}", explanation.headline);
    assert_eq!(weight(&explanation, "one-of-several"), Some(Weight::Open));
    let named = explanation.rivals.iter().any(|weighed| weighed.why.contains("2a05::123, 2a09::1"));
    assert!(named && explanation.settle[0].contains("Contact each of the 2"), "{explanation:#?}");
    assert!(suspects_table(&report(&ledger(&all), &Options::default())).contains("(one of them)"));
}

#[test]
fn a_content_network_is_said_to_stand_before_many_sites() {
    let cdn = "2606:4700::6810:1";
    let all = changed(|observation| {
        if let Observation::Contact(contact) = observation
            && contact.remote == addr(POOL)
        {
            contact.remote = addr(cdn);
        }
    });
    let explanation = told(&all, cdn);
    assert_eq!(weight(&explanation, "many-sites"), Some(Weight::Open));
    assert!(explanation.headline.contains("one of many sites behind one address"), "{}", explanation.headline);
    assert!(explanation.settle.iter().any(|step| step.contains("tattler contacts remote 2606:4700::6810:1")));
}

#[test]
fn what_all_contacted_what_nobody_contacted_and_what_brought_nothing_is_said_so() {
    let mut all = january_2016();
    all.extend([1, 4, 7].map(|n| contact(n * 100 + 9, local(n as u64), "2a0b::1")));
    let says = |remote: &str| told(&all, remote).headline;
    assert!(says(SITE).starts_with("Can't be told: 24 of 24 temporary addresses (100 %)"), "{}", says(SITE));
    assert!(
        says("2a0f::1").starts_with("Not seen: no local address contacted it from 1970-01-01"),
        "{}",
        says("2a0f::1")
    );
    assert!(says("2a0b::1").starts_with("Nothing speaks against it"), "{}", says("2a0b::1"));
    let scanner = explanation_text(&told(&all, SCANNER));
    assert!(scanner.contains("Not seen") && scanner.contains("It sent 8 probes itself."), "{scanner}");
    assert!(explain(&ledger(&[]), addr(POOL)).headline.starts_with("Not seen: nothing at all"));
}

#[test]
fn a_remote_that_probes_back_is_explained_by_its_own_probes() {
    let mut all = january_2016();
    all.extend((0..24).filter(|n| n % 4 == 1).map(|n| probe(n * 100 + 4, RARE, local(n as u64))));
    let explanation = told(&all, RARE);
    assert!(explanation.headline.contains("proves no leak"), "{}", explanation.headline);
    assert!(explanation.rivals.is_empty() && explanation.lags.is_empty());
    let text = explanation_text(&explanation);
    let timeline = text.split("its own probes followed").nth(1).unwrap();
    assert!(timeline.contains("+2.0 s  syn 22 from 2a07:") && !timeline.contains(SCANNER), "{text}");
}

#[test]
fn path_probes_are_marked_and_speak_against_nobody() {
    let mut all = january_2016();
    for n in (0..24).filter(|n| n % 3 == 0) {
        let Observation::Probe(probe) = probe(n * 100 + 7, "2a0e::1", local(n as u64)) else { panic!() };
        // A traceroute by ping, to all that contacted it.
        all.extend((0..6).map(|hop| {
            let ts = Time(probe.ts.0 + i64::from(hop) * 100_000);
            let traits = Traits { hop_limit: Some(3 + hop), ..Traits::default() };
            Observation::Probe(Probe { ts, kind: Kind::Echo, port: 0, traits, ..probe.clone() })
        }));
    }
    let explanation = told(&all, POOL);
    let hops: Vec<&super::visits::Followed> =
        explanation.visits.iter().flat_map(|visit| &visit.probes).filter(|probe| probe.kind == "echo").collect();
    assert_eq!(hops.len(), 8, "{explanation:#?}");
    assert!(hops.iter().all(|probe| probe.path_probe && !probe.counts && probe.evidence == "exact-hit"));
    assert_eq!(explanation.candidate.as_ref().unwrap().explained_probes, 8);
    let text = explanation_text(&explanation);
    assert!(text.contains("1 other probe\n") && !text.contains("2a0e::1"), "{text}");
    // Alone they make no candidate, and are shown as what they are.
    all.retain(|observation| !matches!(observation, Observation::Probe(probe) if probe.kind == Kind::Syn));
    let text = explanation_text(&told(&all, POOL));
    assert!(text.contains("echo from 2a0e::1, c1 (path probe: no evidence)"), "{text}");
}

#[test]
fn a_remote_that_another_one_explains_is_not_accused_and_the_other_is_named() {
    let mut all = january_2016();
    all.extend([0, 3, 6].map(|n| contact(n * 100 + 2, local(n as u64), "2a0b::1")));
    let explanation = told(&all, "2a0b::1");
    assert_eq!(weight(&explanation, "another-remote"), Some(Weight::Likelier), "{explanation:#?}");
    assert_eq!(explanation.headline, "Not accused: better explained by another remote.");
    assert!(
        explanation.rivals[0].why.starts_with("3 of its 3 probed visitors had contacted 2a05::123 before (rank 1, ")
    );
}

#[test]
fn where_everything_is_probed_and_nobody_stands_out_a_listener_is_named() {
    let mut all = Vec::new();
    for n in 0..40u64 {
        let at = n as i64 * 1_000;
        all.extend(
            (0..6).map(|site| contact(at + site, local(n), &format!("2a06::{:x}", (n * 7 + site as u64 * 5) % 60))),
        );
        all.push(probe(at + 300, SCANNER, local(n)));
    }
    let report = report(&ledger(&all), &Options::default());
    assert!(suspects_table(&report).contains("a listener on the path"), "{}", suspects_table(&report));
    let explanation = explain(&ledger(&all), report.candidates[0].members[0]);
    assert_eq!(weight(&explanation, "on-path"), Some(Weight::Likelier), "{explanation:#?}");
    assert!(explanation.settle.iter().any(|step| step.contains("Another resolver")));
}

#[test]
fn every_probed_visitor_is_in_the_lags_and_every_visit_is_shown_or_counted() {
    let mut all = january_2016();
    for n in 24..64u64 {
        all.push(contact(n as i64 * 100 + 5, local(n), POOL));
        all.push(probe(n as i64 * 100 + 5 + if n % 2 == 0 { 4 } else { 30 }, SCANNER, local(n)));
    }
    let explanation = told(&all, POOL);
    let lags: Vec<u64> = explanation.lags.iter().map(|bin| bin.locals).collect();
    assert_eq!(lags, [28, 20, 0, 0, 0, 0, 0]);
    assert_eq!(explanation.candidate.as_ref().unwrap().explained_locals, 48);
    let text = explanation_text(&explanation);
    assert!(text.contains("█ 28") && text.contains("and 33 more such contacts"), "{text}");
}

#[test]
fn odds_are_the_cross_product_and_stay_finite_where_a_cell_is_zero() {
    let table = |contacted_probed, contacted_spared, others_probed, others_spared| Table {
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
