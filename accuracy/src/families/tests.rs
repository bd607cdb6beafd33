//! Each family shows what it claims.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv6Addr;

use tattler_core::observation::{Observation, Probe};

use super::{Class, Expect, all, named};
use crate::network::home::Life;
use crate::network::plan::{DAY, HOUR, MINUTE};
use crate::network::size::Size;
use crate::network::{Network, seconds};

fn network(name: &str) -> Network {
    network_of(name, Size::MEDIUM)
}

fn network_of(name: &str, size: Size) -> Network {
    Network::new(&(named(name).unwrap().plan)(size), name, 1).unwrap()
}

/// From the contact to the probe, in order.
fn lags(network: &Network) -> Vec<f64> {
    let mut lags: Vec<f64> =
        network.told.iter().filter(|told| told.by.is_some()).map(|told| told.at - told.learned).collect();
    lags.sort_by(f64::total_cmp);
    lags
}

fn median_lag(name: &str) -> f64 {
    let lags = lags(&network_of(name, Size::LARGE));
    lags[lags.len() / 2]
}

fn visitors(network: &Network) -> f64 {
    network.truth.harvesters[0].visitors as f64 / network.lives.len() as f64
}

/// Share of addresses that were hit by chance.
fn by_chance(network: &Network) -> f64 {
    let hit = network.told.iter().filter(|told| told.by.is_none()).map(|told| told.life);
    hit.collect::<BTreeSet<_>>().len() as f64 / network.lives.len() as f64
}

fn probes(network: &Network) -> impl Iterator<Item = &Probe> {
    network.observations.iter().filter_map(|observation| match observation {
        Observation::Probe(probe) => Some(probe),
        _ => None,
    })
}

fn contacted_by(network: &Network, remote: Ipv6Addr) -> BTreeSet<usize> {
    let has = |life: &Life| life.visits.iter().any(|visit| visit.remote == remote);
    (0..network.lives.len()).filter(|&n| has(&network.lives[n])).collect()
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
        let harvesters = (family.plan)(Size::SMALL).harvesters.len();
        assert_eq!(family.expect == Expect::Rank, harvesters > 0, "{}", family.name);
        assert_eq!(family.class == Class::None, harvesters == 0, "{}", family.name);
        assert!(!family.clean || family.expect == Expect::Nobody, "{}", family.name);
    }
}

#[test]
fn harvesters_that_are_to_be_found_leak_often_enough_at_300_addresses() {
    for family in all().into_iter().filter(|family| family.expect == Expect::Rank) {
        let network = network(family.name);
        assert!(!network.truth.identifiable().is_empty(), "{}", family.name);
    }
}

#[test]
fn a_harvester_is_visited_by_its_share_and_leaks_its_share() {
    let (mut visited, mut leaked, mut runs) = (0, 0, 0.0);
    for seed in 0..10 {
        let plan = (named("one").unwrap().plan)(Size::LARGE);
        let truth = Network::new(&plan, "one", seed).unwrap().truth;
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
        let network = network(name);
        assert_eq!(network.truth.harvesters.len(), 5);
        let fed: BTreeSet<usize> = network.told.iter().filter(|t| t.by.is_some()).map(|t| t.scanner).collect();
        assert_eq!(fed.len(), scanners, "{name}");
    }
}

#[test]
fn where_all_contact_all_150_sites_are_contacted_by_nearly_every_address() {
    let network = network("all-contact-all");
    let mut counts: HashMap<Ipv6Addr, usize> = HashMap::new();
    for life in &network.lives {
        for remote in life.visits.iter().map(|visit| visit.remote).collect::<BTreeSet<_>>() {
            *counts.entry(remote).or_default() += 1;
        }
    }
    let nearly_all = counts.values().filter(|&&n| n as f64 >= 0.95 * network.lives.len() as f64).count();
    assert_eq!(nearly_all, 150);
    assert!(visitors(&network) > 0.95);
}

#[test]
fn popularity_is_as_told() {
    assert!(visitors(&network("always-fast")) > 0.95);
    assert!(visitors(&network_of("rarely-visited", Size::LARGE)) < 0.08);
}

#[test]
fn lags_are_as_told() {
    near(median_lag("lag-seconds"), 5.0, 1.5);
    near(median_lag("always-fast"), 20.0, 4.0);
    near(median_lag("one"), 5.0 * MINUTE, 2.0 * MINUTE);
    near(median_lag("lag-hours"), 4.0 * HOUR, HOUR);
    near(median_lag("lag-days"), 3.0 * DAY, 0.6 * DAY);
    let fixed = lags(&network("lag-37-minutes"));
    assert!(fixed.iter().all(|lag| (37.0 * MINUTE..37.0 * MINUTE + 2.0).contains(lag)), "{fixed:?}");
    let night = network("lag-night");
    for told in night.told.iter().filter(|told| told.by.is_some()) {
        assert!((3.0 * HOUR..3.4 * HOUR).contains(&told.at.rem_euclid(DAY)) && told.at - told.learned < 1.1 * DAY);
    }
}

#[test]
fn few_contacts_leak_or_the_third() {
    let few = network_of("leaks-8-percent", Size::LARGE);
    let harvester = &few.truth.harvesters[0];
    near(harvester.leaked as f64 / harvester.visitors as f64, 0.1, 0.04);
    near(harvester.leak.unwrap(), 0.1, 0.03);
    let third = network("leaks-on-third");
    assert!(third.truth.harvesters[0].leaked > 10);
    for told in third.told.iter().filter(|told| told.by.is_some()) {
        assert_eq!(third.lives[told.life].contacts_with(0)[2], told.learned);
    }
}

#[test]
fn chance_hits_as_many_as_told_and_follows_activity_where_told() {
    // Devices differ, so one home may have more or fewer.
    near(by_chance(&network_of("one", Size::LARGE)), 0.05, 0.02);
    near(by_chance(&network_of("background-15", Size::LARGE)), 0.15, 0.05);
    let active = network("background-15-active");
    for told in active.told.iter().filter(|told| told.by.is_none()) {
        let follows = |visit: &crate::network::home::Visit| visit.at < told.at && told.at - visit.at < 3.0 * HOUR;
        assert!(active.lives[told.life].visits.iter().any(follows));
    }
}

#[test]
fn harvesters_move_within_their_prefix() {
    let prefixes = |name: &str, bits: u32| -> (usize, usize) {
        let addresses = &network(name).truth.harvesters[0].addresses;
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
    let bound = network("third-parties-bound");
    let harvester = &bound.truth.harvesters[0];
    let visitors = contacted_by(&bound, *harvester.addresses.first().unwrap());
    assert_eq!(harvester.companions.len(), 4);
    for &companion in &harvester.companions {
        assert_eq!(contacted_by(&bound, companion), visitors);
    }
    let shared = network("third-parties-shared");
    let harvester = &shared.truth.harvesters[0];
    assert!(harvester.companions.is_empty(), "they can be told apart, so to name them is wrong");
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
fn one_address_before_many_sites_leaks_a_part() {
    let network = network_of("cdn-front", Size::LARGE);
    near(visitors(&network), 0.4, 0.12);
    near(network.truth.harvesters[0].leak.unwrap(), 0.24, 0.04);
}

#[test]
fn scanners_spread_share_tools_use_two_or_fall_silent() {
    let spread = network_of("scanner-in-700-networks", Size::LARGE);
    let networks: BTreeSet<u128> = probes(&spread).map(|probe| u128::from(probe.source) >> 64).collect();
    assert!(networks.len() > 80, "{}", networks.len());
    let print = |probe: &Probe| (probe.traits.window, probe.traits.tcp_options.clone());
    let shared = network("two-scanners-one-print");
    let masscan = (Some(1_024), Some("mss".to_owned()));
    assert!(probes(&shared).all(|probe| print(probe) != masscan), "the second scanner uses the first one's tool");
    let two = network("one-scanner-two-prints");
    let mut prints: HashMap<u128, BTreeSet<Option<u16>>> = HashMap::new();
    for probe in probes(&two) {
        prints.entry(u128::from(probe.source) >> 64).or_default().insert(probe.traits.window);
    }
    assert_eq!(prints.values().filter(|windows| windows.len() == 2).count(), 1);
    let silent = network("scanner-falls-silent");
    let mut seen = BTreeSet::new();
    for told in silent.told.iter().filter(|told| told.scanner == 0) {
        let network = u128::from(silent.lives[told.life].address) >> 64;
        assert!(seen.insert((network, (told.learned / DAY) as i64)));
    }
}

#[test]
fn a_swarm_is_hundreds_of_peers_within_an_hour() {
    for name in ["torrent-one-leaks", "torrent-none"] {
        let network = network(name);
        let many = network.lives.iter().filter(|life| life.visits.len() > 250).count() as f64;
        near(many / network.lives.len() as f64, 0.2, 0.08);
    }
    let inbound = network("torrent-none");
    assert!(probes(&inbound).filter(|probe| probe.port == 51_413).count() > 100);
}

#[test]
fn homes_and_sensors_change_as_told() {
    let renumbered = network("prefix-changes-daily");
    let prefixes: BTreeSet<u128> = renumbered.lives.iter().map(|life| u128::from(life.address) >> 80).collect();
    assert_eq!(prefixes.len(), Size::MEDIUM.days);
    let mixed = network("stable-hosts");
    let stable: Vec<&Life> = mixed.lives.iter().filter(|life| !life.temporary).collect();
    assert_eq!(stable.len(), 5);
    assert!(stable.iter().all(|life| (life.until - life.from - 20.0 * DAY).abs() < 1e-6));
    let outage = network("sensor-outage");
    let blind = |observation: &&Observation| (9.0 * DAY..11.0 * DAY).contains(&seconds(observation.ts()));
    assert_eq!(outage.observations.iter().filter(blind).count(), 0);
}

#[test]
fn rivals_do_what_they_are_told() {
    let on_path = network("on-path");
    let told: BTreeSet<usize> = on_path.told.iter().map(|told| told.life).collect();
    assert!(told.len() > 200, "{}", told.len());
    let device = network("one-device");
    // Chance hits others as well.
    let of_device = device.told.iter().filter(|told| device.lives[told.life].device == 0).count();
    assert!(of_device >= 12 && of_device * 2 > device.told.len() / 2, "{of_device} of {}", device.told.len());
    let hitlist = network("hitlist");
    let last = hitlist.lives.iter().flat_map(|life| &life.visits).map(|v| v.at).fold(0.0, f64::max);
    let replayed = probes(&hitlist).filter(|probe| seconds(probe.ts) > last + 30.0 * DAY);
    let targets = replayed.map(|probe| probe.target).collect::<BTreeSet<_>>();
    near(targets.len() as f64 / 300.0, 0.5, 0.1);
    let framing = network("framing");
    assert!(framing.told.len() > 30 && framing.truth.harvesters.is_empty());
}

#[test]
fn clean_networks_have_hits_and_nobody_to_blame() {
    for family in all().into_iter().filter(|family| family.clean) {
        let network = network_of(family.name, Size::LARGE);
        assert!(network.truth.harvesters.is_empty());
        assert!(by_chance(&network) > 0.03, "{}", family.name);
    }
    let burst = network_of("clean-bursts", Size::LARGE);
    let whole = 31.0 * DAY;
    assert!(burst.told.iter().all(|told| (0.38 * whole..0.68 * whole).contains(&told.at)));
}
