//! Bounds that Tattler keeps in small homes, where evidence is scarcest.

use homes::{Background, HOUR, HarvesterPlace, HarvesterPlan, HomePlan, Lag, LeakPlan, MINUTE, ScannerPlan};

use super::*;
use crate::families;
use crate::methods::Method;

/// A small home with sixty addresses.
const SIZE: HomeSize = HomeSize { devices: 5, days: 12, sites: 150, networks: 1 };
/// A harvester that a quarter of the addresses visits. The harvester passes on all visitors.
const BASE: HarvesterPlan = HarvesterPlan {
    place: HarvesterPlace::Site(0.25),
    leak: LeakPlan::First(1.0),
    lag: Lag::About(MINUTE, 1.0),
    ..HarvesterPlan::BASE
};

fn plan(size: HomeSize, harvesters: &[HarvesterPlan]) -> HomePlan {
    HomePlan { harvesters: harvesters.to_vec(), ..HomePlan::base(size) }
}

/// A plan as in the lab: few remotes, and a day of 40 s.
fn lab(size: HomeSize) -> HomePlan {
    let size = HomeSize { sites: 12, ..size };
    let harvester = HarvesterPlan { place: HarvesterPlace::Site(0.5), lag: Lag::About(HOUR, 0.7), ..BASE };
    let background = Background { share: 0.0, ..Background::BASE };
    let second = HarvesterPlan { scanner: 1, ..harvester };
    HomePlan { visits: 6.0, background, pace: 40.0 / 86_400.0, ..plan(size, &[harvester, second]) }
}

fn scores(family: &Family, count: u64) -> Vec<Scores> {
    all(family, SIZE, Seeds { first: 1, count, jobs: 2 }, &|_| ())
}

/// The mean average precision of a method.
fn precision(scores: &[Scores], method: Method) -> f64 {
    let all = scores.iter().filter_map(|scores| scores[method as usize].average_precision);
    let (sum, n) = all.fold((0.0, 0.0), |(sum, n), precision| (sum + precision, n + 1.0));
    sum / n
}

/// The share of homes in which Tattler accuses an innocent remote.
fn wronged(scores: &[Scores]) -> f64 {
    scores.iter().filter(|scores| scores[0].wrong > 0).count() as f64 / scores.len() as f64
}

#[test]
fn harvesters_rank_clearly_better_than_by_the_count_of_2015() {
    let families = [
        Family::rank("one", "", |size| plan(size, &[BASE])),
        Family::rank("two, own scanners", "", |size| plan(size, &[BASE, HarvesterPlan { scanner: 1, ..BASE }])),
        Family::rank("two, one scanner", "", |size| plan(size, &[BASE, BASE])),
        Family::rank("rarely visited", "", |size| {
            plan(size, &[HarvesterPlan { place: HarvesterPlace::Site(0.1), ..BASE }])
        }),
        Family::rank("leaks half", "", |size| plan(size, &[HarvesterPlan { leak: LeakPlan::First(0.5), ..BASE }])),
        Family::rank("third parties", "", |size| {
            plan(size, &[HarvesterPlan { companions: 3, companions_elsewhere: 0.015, ..BASE }])
        }),
        Family::rank("fashions", "", |size| HomePlan { fashion: true, ..plan(size, &[BASE]) }),
        Family::rank("lab", "", lab),
    ];
    for family in families {
        let scores = scores(&family, 40);
        let (ours, count, wronged) =
            (precision(&scores, Method::Ours), precision(&scores, Method::DistinctCount), wronged(&scores));
        println!("{}: {ours:.3}, by the count {count:.3}, wronged {wronged:.3}", family.name);
        assert!(ours >= 0.97 && ours >= count + 0.3 && ours >= 2.0 * count, "{}: {ours} {count}", family.name);
        assert!(wronged <= 0.05, "{}: {wronged}", family.name);
    }
}

#[test]
fn at_most_one_in_twenty_clean_homes_accuses_anybody() {
    let more = [
        Family::clean("half are hit, after visits, by five scanners", "", |size| HomePlan {
            background: Background { share: 0.5, follows_activity: true, ..Background::BASE },
            scanners: (0..5).map(ScannerPlan::plain).collect(),
            unevenness: 1.0,
            ..HomePlan::clean(size)
        }),
        Family::clean("lab", "", |size| HomePlan {
            harvesters: Vec::new(),
            background: Background { share: 0.5, ..Background::BASE },
            ..lab(size)
        }),
    ];
    for family in families::all().iter().filter(|family| family.clean).chain(&more) {
        // With a true share of 5 %, one of twenty such tests has 16 or more such homes of 200.
        let share = wronged(&scores(family, 200));
        println!("{}: {share:.3}", family.name);
        assert!(share <= 0.05, "{}: {share}", family.name);
    }
}

#[test]
fn in_the_lab_both_harvesters_rank_first_and_no_other_is_accused() {
    let scores = scores(&Family::rank("lab", "", lab), 100);
    let (named, precision) =
        (scores.iter().map(|scores| scores[0].named).sum::<usize>(), precision(&scores, Method::Ours));
    println!("lab: {precision:.3}, {named} of 200 named");
    assert!(precision >= 0.994 && named >= 190, "{precision}, {named} of 200 named");
    assert_eq!(wronged(&scores), 0.0);
}
