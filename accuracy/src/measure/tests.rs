//! Tests of the measures against values calculated by hand.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use homes::TrueHarvester;

use super::*;

fn remote(number: u128) -> Ipv6Addr {
    Ipv6Addr::from(0x2a05u128 << 112 | number)
}

/// Harvesters with the addresses 1, 2, …. The first harvester has the companions 101 and 102.
fn truth(harvesters: u128) -> Truth {
    let harvester = |n: u128| TrueHarvester {
        addresses: BTreeSet::from([remote(n)]),
        companions: if n == 1 { BTreeSet::from([remote(101), remote(102)]) } else { BTreeSet::new() },
        visitors: 10,
        leaked: 5,
        leak: Some(0.5),
    };
    Truth { harvesters: (1..=harvesters).map(harvester).collect() }
}

fn entry(score: f64, members: &[u128]) -> RankedEntry {
    RankedEntry { score, members: members.iter().map(|&n| remote(n)).collect(), ..RankedEntry::default() }
}

fn precision(entries: &[RankedEntry], harvesters: u128) -> f64 {
    let truth = truth(harvesters);
    let judged = judge(entries, &truth);
    average_precision(entries, &judged, &truth.identifiable()).unwrap()
}

fn recall(entries: &[RankedEntry], harvesters: u128) -> f64 {
    let truth = truth(harvesters);
    recall_at_true_number(entries, &judge(entries, &truth), &truth.identifiable()).unwrap()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

#[test]
fn a_ranking_without_ties_has_the_textbook_average_precision() {
    // Harvesters at places 1 and 3 of 4: (1/1 + 2/3) / 2.
    let entries = [entry(4.0, &[1]), entry(3.0, &[50]), entry(2.0, &[2]), entry(1.0, &[51])];
    close(precision(&entries, 2), (1.0 + 2.0 / 3.0) / 2.0);
    close(recall(&entries, 2), 0.5);
    // A third harvester that is not in the ranking counts as never found.
    close(precision(&entries, 3), (1.0 + 2.0 / 3.0) / 3.0);
}

#[test]
fn ties_count_as_the_mean_over_their_orders() {
    // One of three tied entries is right: places 1, 2, 3 with a third each.
    let entries = [entry(1.0, &[50]), entry(1.0, &[1]), entry(1.0, &[51])];
    close(precision(&entries, 1), (1.0 + 1.0 / 2.0 + 1.0 / 3.0) / 3.0);
    close(recall(&entries, 1), 1.0 / 3.0);
    // Two of three tied entries are right: places {1,2}, {1,3}, {2,3} with (1+1)/2, (1+2/3)/2, (1/2+2/3)/2.
    let entries = [entry(1.0, &[2]), entry(1.0, &[1]), entry(1.0, &[51])];
    close(precision(&entries, 2), (2.0 + 5.0 / 3.0 + 7.0 / 6.0) / 6.0);
    close(recall(&entries, 2), 2.0 / 3.0);
    // An entry above the tie takes place 1: the harvester is at place 2 or 3.
    let entries = [entry(2.0, &[50]), entry(1.0, &[1]), entry(1.0, &[51])];
    close(precision(&entries, 1), (1.0 / 2.0 + 1.0 / 3.0) / 2.0);
    close(recall(&entries, 1), 0.0);
}

#[test]
fn a_set_may_hold_inseparable_companions_but_no_innocent() {
    close(precision(&[entry(2.0, &[1, 50]), entry(1.0, &[60])], 1), 0.0);
    close(precision(&[entry(2.0, &[1, 101, 102])], 1), 1.0);
    // The companions alone are innocent.
    close(precision(&[entry(2.0, &[101, 102]), entry(1.0, &[1])], 1), 0.5);
    // A set of two harvesters names neither.
    close(precision(&[entry(2.0, &[1, 2])], 2), 0.0);
    close(precision(&[entry(2.0, &[])], 1), 0.0);
}

#[test]
fn naming_a_harvester_again_changes_nothing() {
    let entries = [entry(3.0, &[1]), entry(2.0, &[1, 101]), entry(1.0, &[2])];
    close(precision(&entries, 2), 1.0);
    close(recall(&entries, 2), 1.0);
}

#[test]
fn without_a_harvester_that_can_be_found_there_is_no_precision() {
    let mut truth = truth(1);
    truth.harvesters[0].leaked = 1;
    let entries = [entry(1.0, &[1])];
    let judged = judge(&entries, &truth);
    assert_eq!(judged, [Some(0)], "naming it is right nevertheless");
    assert_eq!(average_precision(&entries, &judged, &truth.identifiable()), None);
    assert_eq!(recall_at_true_number(&entries, &judged, &truth.identifiable()), None);
}

#[test]
fn the_brier_score_is_the_mean_square_over_stated_probabilities() {
    let truth = truth(1);
    let stated = |probability, members: &[u128]| RankedEntry { probability, ..entry(1.0, members) };
    let entries = [stated(Some(0.9), &[1]), stated(Some(0.2), &[50]), stated(None, &[51])];
    close(brier(&entries, &judge(&entries, &truth)).unwrap(), (0.01 + 0.04) / 2.0);
    let silent = [stated(None, &[1])];
    assert_eq!(brier(&silent, &judge(&silent, &truth)), None);
}
