//! What the simulator promises of every home.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv6Addr;

use sensor_common::IidClass;
use tattler_core::observation::Observation;

use super::Network;
use super::plan::{DAY, Plan};
use super::size::Size;

fn network(plan: &Plan, seed: u64) -> Network {
    Network::new(plan, "test", seed).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_observations_and_another_gives_others() {
    let plan = Plan::base(Size::SMALL);
    assert_eq!(network(&plan, 1).observations, network(&plan, 1).observations);
    assert_ne!(network(&plan, 1).observations, network(&plan, 2).observations);
    let other = Network::new(&plan, "another", 1).unwrap();
    assert_ne!(network(&plan, 1).observations, other.observations);
}

#[test]
fn observations_come_in_the_order_of_time() {
    let network = network(&Plan::base(Size::MEDIUM), 3);
    assert!(network.observations.is_sorted_by_key(Observation::ts));
}

#[test]
fn every_size_has_its_addresses_with_about_forty_contacts_each() {
    for (size, addresses) in Size::ALL.into_iter().zip([50, 300, 1_500]) {
        assert_eq!(size.addresses(), addresses);
        let different = |life: &super::Life| life.visits.iter().map(|v| v.remote).collect::<BTreeSet<_>>().len();
        let mut mean = 0.0;
        // Homes differ.
        for seed in 0..8 {
            let network = network(&Plan::base(size), seed);
            assert_eq!(network.lives.len(), addresses);
            mean += network.lives.iter().map(different).sum::<usize>() as f64 / addresses as f64 / 8.0;
        }
        assert!((35.0..45.0).contains(&mean), "{mean} remotes an address at {addresses}");
    }
}

#[test]
fn addresses_are_random_and_belong_to_one_device_for_a_day() {
    let network = network(&Plan::base(Size::MEDIUM), 5);
    for life in &network.lives {
        assert_eq!(IidClass::of(&life.address.octets()), IidClass::Random, "{}", life.address);
        assert!((life.until - life.from - DAY).abs() < 1e-6);
        // Programs may hold on to it for two hours, and a session may run over.
        assert!(
            life.visits.iter().all(|visit| visit.at > life.from - 3_600.0 && visit.at < life.until + 3.0 * 3_600.0)
        );
    }
    let addresses: BTreeSet<Ipv6Addr> = network.lives.iter().map(|life| life.address).collect();
    assert_eq!(addresses.len(), 300);
}

#[test]
fn an_old_address_is_still_used_a_little_after_the_change() {
    let network = network(&Plan::base(Size::MEDIUM), 6);
    let late = |life: &super::Life| life.visits.iter().any(|visit| visit.at > life.until);
    let share = network.lives.iter().filter(|life| late(life)).count() as f64 / 300.0;
    assert!((0.1..0.8).contains(&share), "{share}");
}

#[test]
fn people_sleep() {
    let network = network(&Plan::base(Size::MEDIUM), 7);
    let people = network.lives.iter().filter(|life| life.device % 5 < 3).flat_map(|life| &life.visits);
    let hours: Vec<u32> = people.map(|visit| (visit.at.rem_euclid(DAY) / 3_600.0) as u32).collect();
    let between = |from: u32, to: u32| hours.iter().filter(|hour| (from..to).contains(hour)).count();
    assert!(between(18, 22) > 4 * between(2, 6), "{} {}", between(18, 22), between(2, 6));
}

#[test]
fn few_sites_are_popular_and_most_are_not() {
    let network = network(&Plan::base(Size::LARGE), 8);
    let mut visitors: HashMap<Ipv6Addr, usize> = HashMap::new();
    for life in &network.lives {
        for remote in life.visits.iter().map(|visit| visit.remote).collect::<BTreeSet<_>>() {
            *visitors.entry(remote).or_default() += 1;
        }
    }
    let ubiquitous = visitors.values().filter(|&&n| n > 1_400).count();
    let rare = visitors.values().filter(|&&n| n < 15).count();
    assert_eq!(ubiquitous, 6);
    assert!(rare > visitors.len() / 2, "{rare} of {}", visitors.len());
}

#[test]
fn the_truth_is_among_the_contacts_and_addresses_tell_nothing_of_roles() {
    let plan = Plan::base(Size::MEDIUM);
    let mut firsts = BTreeSet::new();
    for seed in 0..6 {
        let network = network(&plan, seed);
        let truth = *network.truth.harvesters[0].addresses.first().unwrap();
        let contacted = |observation: &Observation| matches!(observation, Observation::Contact(c) if c.remote == truth);
        assert!(network.observations.iter().any(contacted));
        firsts.insert(truth.octets()[1]);
    }
    assert!(firsts.len() > 3, "the harvester's prefix differs from run to run: {firsts:?}");
}

#[test]
fn no_two_organisations_share_a_prefix() {
    let mut random = super::random::Random::new("test", 0, 9);
    let internet = super::internet::Internet::new(&mut random);
    // Every tenth to third site is with a hoster.
    let own = (0..40_000).filter(|n| n % 10 >= 3);
    let prefixes: BTreeSet<u128> = own.clone().map(|n| u128::from(internet.site(n)) >> 80).collect();
    assert_eq!(prefixes.len(), own.count());
}

#[test]
fn sweeps_and_strays_hit_addresses_that_nobody_uses() {
    let network = network(&Plan::clean(Size::MEDIUM), 10);
    let used: BTreeSet<Ipv6Addr> = network.lives.iter().map(|life| life.address).collect();
    let unused: BTreeSet<Ipv6Addr> = network
        .observations
        .iter()
        .filter_map(|observation| match observation {
            Observation::Probe(probe) if !used.contains(&probe.target) => Some(probe.target),
            _ => None,
        })
        .collect();
    let low = unused.iter().filter(|address| IidClass::of(&address.octets()) == IidClass::LowByte).count();
    assert!(low >= 15 && unused.len() > low, "{low} of {}", unused.len());
}

#[test]
fn a_service_checks_its_visitors_and_another_measures_the_path_to_its_own() {
    let network = network(&Plan::clean(Size::MEDIUM), 11);
    let probes: Vec<_> = network
        .observations
        .iter()
        .filter_map(|observation| match observation {
            Observation::Probe(probe) => Some(probe),
            _ => None,
        })
        .collect();
    let visited = |source: Ipv6Addr, target: Ipv6Addr| {
        let life = network.lives.iter().find(|life| life.address == target);
        life.is_some_and(|life| life.visits.iter().any(|visit| visit.remote == source))
    };
    let back = probes.iter().filter(|probe| visited(probe.source, probe.target)).count();
    assert!(back > 20, "{back}");
    let hops = |hop: u8| probes.iter().filter(|probe| probe.traits.hop_limit == Some(hop)).count();
    assert!(hops(1) > 20 && (1..=6).all(|hop| hops(hop) == hops(1)) && hops(7) == 0, "{}", hops(1));
}
