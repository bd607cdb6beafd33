//! Tests that the homes of each family match the family's description.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv6Addr;

use homes::{DAY, HOUR, HomeSize, Life, MINUTE, SimulatedHome, SimulatedVisit};

use super::{Expect, all, named};

/// A home of 300 addresses.
fn medium(name: &str) -> SimulatedHome {
    SimulatedHome::new(&(named(name).unwrap().plan)(HomeSize::MEDIUM), name, 1)
}

/// A home of 1,500 addresses.
fn large(name: &str) -> SimulatedHome {
    SimulatedHome::new(&(named(name).unwrap().plan)(HomeSize::LARGE), name, 1)
}

/// The times from contact to probe, in order.
fn lags(home: &SimulatedHome) -> Vec<f64> {
    let leaked = home.tips.iter().filter(|tip| tip.by.is_some());
    let mut lags: Vec<f64> = leaked.map(|tip| tip.at - tip.learned).collect();
    lags.sort_by(f64::total_cmp);
    lags
}

fn median_lag(name: &str) -> f64 {
    let lags = lags(&large(name));
    lags[lags.len() / 2]
}

fn visitors(home: &SimulatedHome) -> f64 {
    home.truth.harvesters[0].visitors as f64 / home.lives.len() as f64
}

/// Share of addresses that were hit by chance.
fn by_chance(home: &SimulatedHome) -> f64 {
    let hit = home.tips.iter().filter(|tip| tip.by.is_none()).map(|tip| tip.life);
    hit.collect::<BTreeSet<_>>().len() as f64 / home.lives.len() as f64
}

fn contacted_by(home: &SimulatedHome, remote: Ipv6Addr) -> BTreeSet<usize> {
    let has = |life: &Life| life.visits.iter().any(|visit| visit.remote == remote);
    (0..home.lives.len()).filter(|&n| has(&home.lives[n])).collect()
}

fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not about {expected}");
}

#[test]
fn names_are_unique_and_expectations_fit_the_plans() {
    let families = all();
    let names: BTreeSet<&str> = families.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), families.len());
    for family in families {
        let harvesters = (family.plan)(HomeSize::SMALL).harvesters.len();
        assert_eq!(family.expect == Expect::Rank, harvesters > 0, "{}", family.name);
        assert!(!family.clean || family.expect == Expect::Nobody, "{}", family.name);
    }
}

#[test]
fn harvesters_that_are_to_be_found_leak_often_enough_at_300_addresses() {
    for family in all().iter().filter(|family| family.expect == Expect::Rank) {
        let home = medium(family.name);
        assert!(!home.truth.identifiable().is_empty(), "{}", family.name);
    }
}

#[test]
fn a_harvester_is_visited_by_its_share_and_leaks_its_share() {
    let (mut visited, mut leaked, mut runs) = (0, 0, 0.0);
    for seed in 0..10 {
        let plan = (named("one").unwrap().plan)(HomeSize::LARGE);
        let truth = SimulatedHome::new(&plan, "one", seed).truth;
        visited += truth.harvesters[0].visitors;
        leaked += truth.harvesters[0].leaked;
        runs += 1.0;
    }
    near(visited as f64 / 1_500.0 / runs, 0.12, 0.02);
    near(leaked as f64 / visited as f64, 0.6, 0.03);
}

#[test]
fn five_harvesters_feed_five_scanners_or_one() {
    for (name, scanners) in [("five-own-scanners", 5), ("five-one-scanner", 1)] {
        let home = medium(name);
        assert_eq!(home.truth.harvesters.len(), 5);
        let fed: BTreeSet<usize> = home.tips.iter().filter(|t| t.by.is_some()).map(|t| t.scanner).collect();
        assert_eq!(fed.len(), scanners, "{name}");
    }
}

#[test]
fn where_all_contact_all_150_sites_are_contacted_by_nearly_every_address() {
    let home = medium("all-contact-all");
    let mut counts: HashMap<Ipv6Addr, usize> = HashMap::new();
    for life in &home.lives {
        for remote in life.visits.iter().map(|visit| visit.remote).collect::<BTreeSet<_>>() {
            *counts.entry(remote).or_default() += 1;
        }
    }
    let nearly_all = counts.values().filter(|&&n| n as f64 >= 0.95 * home.lives.len() as f64).count();
    assert_eq!(nearly_all, 150);
    assert!(visitors(&home) > 0.95);
}

#[test]
fn popularity_is_as_described() {
    assert!(visitors(&medium("always-fast")) > 0.95);
    assert!(visitors(&large("rarely-visited")) < 0.08);
    let front = large("cdn-front");
    near(visitors(&front), 0.4, 0.12);
    near(front.truth.harvesters[0].leak.unwrap(), 0.24, 0.04);
}

#[test]
fn lags_are_as_described() {
    near(median_lag("lag-seconds"), 5.0, 1.5);
    near(median_lag("always-fast"), 20.0, 4.0);
    near(median_lag("one"), 5.0 * MINUTE, 2.0 * MINUTE);
    near(median_lag("lag-hours"), 4.0 * HOUR, HOUR);
    near(median_lag("lag-days"), 3.0 * DAY, 0.6 * DAY);
    let fixed = lags(&medium("lag-37-minutes"));
    assert!(fixed.iter().all(|lag| (37.0 * MINUTE..37.0 * MINUTE + 2.0).contains(lag)), "{fixed:?}");
    let night = medium("lag-night");
    for tip in night.tips.iter().filter(|tip| tip.by.is_some()) {
        assert!((3.0 * HOUR..3.4 * HOUR).contains(&tip.at.rem_euclid(DAY)) && tip.at - tip.learned < 1.1 * DAY);
    }
}

#[test]
fn few_contacts_leak_or_the_third() {
    let few = large("leaks-8-percent");
    let harvester = &few.truth.harvesters[0];
    near(harvester.leaked as f64 / harvester.visitors as f64, 0.1, 0.04);
    near(harvester.leak.unwrap(), 0.1, 0.03);
    let third = medium("leaks-on-third");
    assert!(third.truth.harvesters[0].leaked > 10);
    for tip in third.tips.iter().filter(|tip| tip.by.is_some()) {
        assert_eq!(third.lives[tip.life].contacts_with(0)[2], tip.learned);
    }
}

#[test]
fn chance_hits_a_share_and_may_follow_activity() {
    // Devices differ, so a single home may have more or fewer hits by chance.
    near(by_chance(&large("one")), 0.05, 0.02);
    near(by_chance(&large("background-15")), 0.15, 0.05);
    let active = medium("background-15-active");
    for tip in active.tips.iter().filter(|tip| tip.by.is_none()) {
        let follows = |visit: &SimulatedVisit| visit.at < tip.at && tip.at - visit.at < 3.0 * HOUR;
        assert!(active.lives[tip.life].visits.iter().any(follows));
    }
}

#[test]
fn harvesters_move_within_their_prefix() {
    let prefixes = |name: &str, bits: u32| -> (usize, usize) {
        let addresses = &medium(name).truth.harvesters[0].addresses;
        let prefixes: BTreeSet<u128> = addresses.iter().map(|address| u128::from(*address) >> (128 - bits)).collect();
        (addresses.len(), prefixes.len())
    };
    let (addresses, networks) = prefixes("moves-within-64", 64);
    assert!(addresses > 5 && networks == 1, "{addresses} {networks}");
    let (addresses, networks) = prefixes("moves-within-48", 64);
    assert!(addresses > 5 && networks == addresses, "{addresses} {networks}");
    assert_eq!(prefixes("moves-within-48", 48).1, 1);
    assert_eq!(prefixes("ntp-operator", 48), (4, 1));
}

#[test]
fn third_parties_come_with_the_harvester_alone_or_with_others_too() {
    let bound = medium("third-parties-bound");
    let harvester = &bound.truth.harvesters[0];
    let visitors = contacted_by(&bound, *harvester.addresses.first().unwrap());
    assert_eq!(harvester.companions.len(), 4);
    for &companion in &harvester.companions {
        assert_eq!(contacted_by(&bound, companion), visitors);
    }
    let shared = medium("third-parties-shared");
    let harvester = &shared.truth.harvesters[0];
    assert!(harvester.companions.is_empty(), "the data distinguish them, so it is wrong to name them");
    let of = |life: &Life| {
        let at = life.visits.iter().find(|visit| visit.harvester.is_some()).map(|visit| visit.at);
        let with = life.visits.iter().filter(|v| at.is_some_and(|at| v.at > at && v.at < at + 0.32));
        with.map(|visit| visit.remote).collect::<BTreeSet<_>>()
    };
    let sets: Vec<_> = shared.lives.iter().map(of).filter(|set| !set.is_empty()).collect();
    let together = sets.iter().skip(1).fold(sets[0].clone(), |all, set| &all & set);
    assert_eq!(together.len(), 4);
    let visitors = contacted_by(&shared, *harvester.addresses.first().unwrap());
    for companion in together {
        assert!(contacted_by(&shared, companion).len() > visitors.len() + 30);
    }
}

#[test]
fn scanners_spread_share_tools_use_two_or_fall_silent() {
    let spread = large("scanner-in-700-networks");
    let networks: BTreeSet<u128> = spread.probes.iter().map(|probe| u128::from(probe.source) >> 64).collect();
    assert!(networks.len() > 80, "{}", networks.len());
    let shared = medium("two-scanners-one-print");
    let masscan = Some((1_024, "mss"));
    assert!(shared.probes.iter().all(|probe| probe.tcp != masscan), "the second scanner uses the first one's tool");
    let two = medium("one-scanner-two-prints");
    let mut prints: HashMap<u128, BTreeSet<Option<u16>>> = HashMap::new();
    for probe in &two.probes {
        prints.entry(u128::from(probe.source) >> 64).or_default().insert(probe.tcp.map(|tcp| tcp.0));
    }
    assert_eq!(prints.values().filter(|windows| windows.len() == 2).count(), 1);
    let silent = medium("scanner-falls-silent");
    let mut seen = BTreeSet::new();
    for tip in silent.tips.iter().filter(|tip| tip.scanner == 0) {
        let network = u128::from(silent.lives[tip.life].address) >> 64;
        assert!(seen.insert((network, (tip.learned / DAY) as i64)));
    }
}

#[test]
fn a_swarm_is_hundreds_of_peers_within_an_hour() {
    for name in ["torrent-one-leaks", "torrent-none"] {
        let home = medium(name);
        let many = home.lives.iter().filter(|life| life.visits.len() > 250).count() as f64;
        near(many / home.lives.len() as f64, 0.2, 0.08);
    }
    let inbound = medium("torrent-none");
    assert!(inbound.probes.iter().filter(|probe| probe.port == 51_413).count() > 100);
}

#[test]
fn homes_and_sensors_change_as_described() {
    let renumbered = medium("prefix-changes-daily");
    let prefixes: BTreeSet<u128> = renumbered.lives.iter().map(|life| u128::from(life.address) >> 80).collect();
    assert_eq!(prefixes.len(), HomeSize::MEDIUM.days);
    let mixed = medium("stable-hosts");
    let stable: Vec<&Life> = mixed.lives.iter().filter(|life| !life.temporary).collect();
    assert_eq!(stable.len(), 5);
    assert!(stable.iter().all(|life| (life.until - life.from - 20.0 * DAY).abs() < 1e-6));
    let outage = medium("sensor-outage");
    let times = outage.seen(|at, _, _| at, |at, _| at);
    assert!(times.len() > 1_000 && !times.iter().any(|at| (9.0 * DAY..11.0 * DAY).contains(at)));
}

#[test]
fn rivals_cause_probes_as_described() {
    let on_path = medium("on-path");
    let hit = on_path.tips.iter().map(|tip| tip.life).collect::<BTreeSet<_>>().len();
    assert!(hit > 200, "{hit}");
    let device = medium("one-device");
    // Chance hits the addresses of other devices as well.
    let of_device = device.tips.iter().filter(|tip| device.lives[tip.life].device == 0).count();
    assert!(of_device >= 12 && of_device * 2 > device.tips.len() / 2, "{of_device} of {}", device.tips.len());
    let hitlist = medium("hitlist");
    let last = hitlist.lives.iter().flat_map(|life| &life.visits).map(|v| v.at).fold(0.0, f64::max);
    let replayed = hitlist.probes.iter().filter(|probe| probe.at > last + 30.0 * DAY);
    let targets = replayed.map(|probe| probe.target).collect::<BTreeSet<_>>();
    near(targets.len() as f64 / 300.0, 0.5, 0.1);
    let framing = medium("framing");
    assert!(framing.tips.len() > 30 && framing.truth.harvesters.is_empty());
}

#[test]
fn clean_homes_have_hits_and_no_harvester() {
    for family in all().iter().filter(|family| family.clean) {
        let home = large(family.name);
        assert!(home.truth.harvesters.is_empty());
        assert!(by_chance(&home) > 0.03, "{}", family.name);
    }
    let burst = large("clean-bursts");
    let whole = 31.0 * DAY;
    assert!(burst.tips.iter().all(|tip| (0.38 * whole..0.68 * whole).contains(&tip.at)));
}
