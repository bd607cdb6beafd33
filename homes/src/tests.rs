//! Properties of every simulated home.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv6Addr;

use sensor_common::IidClass;

use super::*;

fn home(plan: &HomePlan, seed: u64) -> SimulatedHome {
    SimulatedHome::new(plan, "test", seed)
}

/// A sensor's observations: time, and both addresses.
fn seen(home: &SimulatedHome) -> Vec<(f64, Ipv6Addr, Ipv6Addr)> {
    home.seen(|at, life, visit| (at, life.address, visit.remote), |at, probe| (at, probe.target, probe.source))
}

fn remotes(life: &Life) -> BTreeSet<Ipv6Addr> {
    life.visits.iter().map(|visit| visit.remote).collect()
}

#[test]
fn name_and_seed_choose_the_home_and_the_sensor_sees_it_in_order() {
    let plan = HomePlan::base(HomeSize::SMALL);
    let one = seen(&home(&plan, 1));
    assert!(one == seen(&home(&plan, 1)) && one != seen(&home(&plan, 2)));
    assert_ne!(one, seen(&SimulatedHome::new(&plan, "another", 1)));
    assert!(one.is_sorted_by_key(|seen| (seen.0 * 1e6) as i64));
    let fast = seen(&home(&HomePlan { pace: 0.001, ..plan }, 1));
    assert_eq!(fast.len(), one.len());
    assert!((fast[fast.len() - 1].0 * 1_000.0 - one[one.len() - 1].0).abs() < 1.0);
}

#[test]
fn an_address_has_about_forty_contacts_at_every_size() {
    for (size, addresses) in HomeSize::ALL.into_iter().zip([50, 300, 1_500]) {
        assert_eq!(size.addresses(), addresses);
        let mut mean = 0.0;
        // Different seeds give different homes.
        for seed in 0..8 {
            let home = home(&HomePlan::base(size), seed);
            assert_eq!(home.lives.len(), addresses);
            mean += home.lives.iter().map(|life| remotes(life).len()).sum::<usize>() as f64 / addresses as f64 / 8.0;
        }
        assert!((35.0..45.0).contains(&mean), "{mean} remotes an address at {addresses}");
    }
}

#[test]
fn an_address_is_random_and_a_device_uses_it_for_a_day_and_a_little_longer() {
    let home = home(&HomePlan::base(HomeSize::MEDIUM), 5);
    for life in &home.lives {
        assert_eq!(IidClass::of(&life.address.octets()), IidClass::Random, "{}", life.address);
        assert!((life.until - life.from - DAY).abs() < 1e-6);
        // Programs may use an old address for two more hours, and a session may take longer.
        assert!(life.visits.iter().all(|visit| visit.at > life.from - HOUR && visit.at < life.until + 3.0 * HOUR));
    }
    let addresses: BTreeSet<Ipv6Addr> = home.lives.iter().map(|life| life.address).collect();
    assert_eq!(addresses.len(), 300);
    let late = |life: &&Life| life.visits.iter().any(|visit| visit.at > life.until);
    let share = home.lives.iter().filter(late).count() as f64 / 300.0;
    assert!((0.1..0.8).contains(&share), "{share}");
}

#[test]
fn people_sleep() {
    let home = home(&HomePlan::base(HomeSize::MEDIUM), 7);
    let people = home.lives.iter().filter(|life| life.device % 5 < 3).flat_map(|life| &life.visits);
    let hours: Vec<u32> = people.map(|visit| (visit.at.rem_euclid(DAY) / HOUR) as u32).collect();
    let between = |from: u32, to: u32| hours.iter().filter(|hour| (from..to).contains(hour)).count();
    assert!(between(18, 22) > 4 * between(2, 6), "{} {}", between(18, 22), between(2, 6));
}

#[test]
fn few_sites_are_popular_and_most_are_not() {
    let home = home(&HomePlan::base(HomeSize::LARGE), 8);
    let mut visitors: HashMap<Ipv6Addr, usize> = HashMap::new();
    home.lives.iter().flat_map(remotes).for_each(|remote| *visitors.entry(remote).or_default() += 1);
    assert_eq!(visitors.values().filter(|&&n| n > 1_400).count(), 6, "ubiquitous");
    let rare = visitors.values().filter(|&&n| n < 15).count();
    assert!(rare > visitors.len() / 2, "{rare} of {}", visitors.len());
}

#[test]
fn harvesters_are_contacted_and_their_prefixes_differ_between_homes() {
    let harvester = |seed| {
        let home = home(&HomePlan::base(HomeSize::MEDIUM), seed);
        let address = *home.truth.harvesters[0].addresses.first().unwrap();
        assert!(seen(&home).iter().any(|seen| seen.2 == address));
        address.octets()[1]
    };
    let firsts: BTreeSet<u8> = (0..6).map(harvester).collect();
    assert!(firsts.len() > 3, "{firsts:?}");
}

#[test]
fn no_two_organisations_share_a_prefix() {
    let internet = SimulatedInternet::new(&mut SeededRandom::new("test", 0, 9));
    // The other sites are with a hoster.
    let own = (0..40_000).filter(|n| n % 10 >= 3);
    let prefixes: BTreeSet<u128> = own.clone().map(|n| u128::from(internet.site(n)) >> 80).collect();
    assert_eq!(prefixes.len(), own.count());
}

#[test]
fn scanners_probe_unused_addresses_too_and_sites_probe_their_visitors() {
    let home = home(&HomePlan::clean(HomeSize::MEDIUM), 11);
    let lives: HashMap<Ipv6Addr, &Life> = home.lives.iter().map(|life| (life.address, life)).collect();
    let targets = home.probes.iter().map(|probe| probe.target);
    let unused: BTreeSet<Ipv6Addr> = targets.filter(|target| !lives.contains_key(target)).collect();
    let low = unused.iter().filter(|address| IidClass::of(&address.octets()) == IidClass::LowByte).count();
    assert!(low >= 15 && unused.len() > low, "{low} of {}", unused.len());
    let visited = |probe: &&SimulatedProbe| {
        lives.get(&probe.target).is_some_and(|life| life.first(|visit| visit.remote == probe.source).is_some())
    };
    let back = home.probes.iter().filter(visited).count();
    assert!(back > 20, "{back}");
    let hops = |hop: u8| home.probes.iter().filter(|probe| probe.hop_limit == hop).count();
    assert!(hops(1) > 20 && (1..=6).all(|hop| hops(hop) == hops(1)) && hops(7) == 0, "{}", hops(1));
}
