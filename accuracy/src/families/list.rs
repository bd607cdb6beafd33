//! The families, in the order of tables.

use homes::{
    Background, DAY, HOUR, HarvesterAddresses, HarvesterPlace, HarvesterPlan, HomePlan, HomeSize, Lag, LeakPlan,
    MINUTE, RivalPlan, ScannerPlan, Torrent,
};

use super::{Expect, Family};

/// Probes by chance that come minutes after contacts with any remote. Busy addresses are hit more often.
const ACTIVE: Background = Background { share: 0.15, follows_activity: true, by_activity: true, ..Background::BASE };
const TORRENT: Torrent = Torrent { share: 0.2, peers: 250, inbound: 6 };

pub(super) const FAMILIES: &[Family] = &[
    // One harvester or five harvesters, visited by some, few or all addresses.
    Family::rank("one", "one harvester, a scan within minutes", HomePlan::base).replayed(),
    Family::rank("five-own-scanners", "five harvesters, each with a scanner of its own", |size| five(size, |n| n)),
    Family::rank("five-one-scanner", "five harvesters that feed one scanner", |size| five(size, |_| 0)),
    Family::rank("all-contact-all", "150 sites that nearly every address contacts, one of them leaks", |size| {
        HomePlan {
            common: 149,
            visits: 4.0,
            ubiquitous: 0,
            ..HomePlan::with(size, |harvester| harvester.place = HarvesterPlace::Common)
        }
    }),
    Family::rank("always-fast", "an ubiquitous service leaks, a scan within seconds", |size| {
        HomePlan::with(size, |harvester| {
            harvester.place = HarvesterPlace::Early(30.0);
            harvester.lag = Lag::About(20.0, 0.7);
        })
    }),
    Family::rank("rarely-visited", "three addresses in a hundred visit the harvester", |size| {
        HomePlan::with(size, |harvester| harvester.place = HarvesterPlace::Site(0.03))
    }),
    // Harvesters that pass on few contacts.
    Family::rank("leaks-8-percent", "a popular harvester passes on 8 % of the contacts", |size| {
        popular(size, LeakPlan::Each(0.08))
    })
    .hard(),
    Family::rank("leaks-on-third", "the third contact of an address is passed on, no other", |size| {
        HomePlan::with(size, |harvester| {
            harvester.place = HarvesterPlace::Site(0.2);
            harvester.leak = LeakPlan::Kth(3, 0.8);
        })
    }),
    // The time until the scan.
    Family::rank("lag-seconds", "a scan five seconds later", |size| lag(size, Lag::About(5.0, 0.6))).replayed(),
    Family::rank("lag-hours", "a scan four hours later", |size| lag(size, Lag::About(4.0 * HOUR, 0.8))),
    Family::rank("lag-days", "a scan three days later", |size| lag(size, Lag::About(3.0 * DAY, 0.5))).hard(),
    Family::rank("lag-37-minutes", "a scan after 37 minutes to the second", |size| {
        lag(size, Lag::Fixed(37.0 * MINUTE))
    }),
    Family::rank("lag-night", "what was learned by day is scanned from 03:00 on", |size| {
        lag(size, Lag::Night(20.0 * MINUTE))
    }),
    // A higher share of probes by chance.
    Family::rank("background-15", "15 % of addresses are hit by chance", |size| HomePlan {
        background: Background { share: 0.15, ..Background::BASE },
        ..HomePlan::base(size)
    }),
    Family::rank("background-15-active", "15 % are hit by chance, minutes after contacts with anybody", |size| {
        HomePlan { background: ACTIVE, ..HomePlan::base(size) }
    }),
    // Harvesters with several addresses, and remotes that are contacted together with a harvester.
    Family::rank("moves-within-64", "the harvester has another address every day, in one /64", |size| {
        HomePlan::with(size, |harvester| harvester.addresses = HarvesterAddresses::MovesWithin64(24))
    }),
    Family::rank("moves-within-48", "the harvester has another /64 every day, in one /48", |size| {
        HomePlan::with(size, |harvester| harvester.addresses = HarvesterAddresses::MovesWithin48(24))
    }),
    Family::rank("third-parties-bound", "four third parties come with the harvester and nowhere else", |size| {
        HomePlan::with(size, |harvester| harvester.companions = 4)
    }),
    Family::rank("third-parties-shared", "four third parties come with the harvester, and with other sites", |size| {
        HomePlan::with(size, |harvester| (harvester.companions, harvester.companions_elsewhere) = (4, 0.015))
    }),
    Family::rank("ntp-operator", "four of the NTP pool's servers belong to an operator who leaks", |size| HomePlan {
        ntp_asked: 4,
        ..HomePlan::with(size, |harvester| {
            harvester.place = HarvesterPlace::Ntp;
            harvester.addresses = HarvesterAddresses::Several(4);
            harvester.lag = Lag::About(MINUTE, 1.0);
        })
    }),
    // A quarter of the visits goes to the site that leaks. The sensor sees only the shared address.
    Family::rank("cdn-front", "one address before many sites, of which one leaks", |size| {
        popular(size, LeakPlan::Each(0.2))
    }),
    // Scanners that are hard to recognise as one scanner, or as two scanners.
    Family::rank("scanner-in-700-networks", "the scanner spreads over 700 /64s, with one fingerprint", |size| {
        scanner(HomePlan::base(size), |scanner| scanner.networks = 700)
    }),
    Family::rank("two-scanners-one-print", "two harvesters, their scanners use the same tool", |size| {
        let second = HarvesterPlan { place: HarvesterPlace::Site(0.08), scanner: 1, ..HarvesterPlan::BASE };
        let mut plan = HomePlan::base(size);
        plan.harvesters.push(second);
        plan.scanners[1] = ScannerPlan { from: 1, ..ScannerPlan::plain(0) };
        plan
    }),
    Family::rank("one-scanner-two-prints", "the scanner uses two tools, half of the targets each", |size| {
        scanner(HomePlan::base(size), |scanner| scanner.second_tool = Some(8))
    }),
    Family::rank("scanner-falls-silent", "the scanner probes one address a day in each /64 of ours", |size| {
        let plan = HomePlan::with(size, |harvester| harvester.place = HarvesterPlace::Site(0.2));
        scanner(plan, |scanner| scanner.once_a_day = true)
    }),
    // Peer-to-peer: hundreds of remotes within an hour.
    Family::rank("torrent-one-leaks", "one peer of many leaks, met in most sessions", |size| HomePlan {
        torrent: Some(Torrent { inbound: 0, ..TORRENT }),
        ..HomePlan::with(size, |harvester| {
            harvester.place = HarvesterPlace::Peer;
            harvester.lag = Lag::About(10.0 * MINUTE, 1.0);
        })
    }),
    Family::without("torrent-none", "peers connect in, nobody leaks", Expect::Nobody, |size| HomePlan {
        torrent: Some(TORRENT),
        ..HomePlan::clean(size)
    }),
    // Changes of the home and of the sensor.
    Family::rank("prefix-changes-daily", "the provider hands out another prefix every night", |size| HomePlan {
        prefix_changes: true,
        ..HomePlan::base(size)
    }),
    Family::rank("stable-hosts", "a third of the devices has a stable random address (RFC 7217)", |size| HomePlan {
        stable: 0.3,
        ..HomePlan::base(size)
    }),
    Family::rank("sensor-outage", "the sensor sees nothing for two days", |size| {
        let middle = size.days as f64 / 2.0;
        HomePlan { outage: Some((middle - 1.0, middle + 1.0)), ..HomePlan::base(size) }
    }),
    // Probes that look like the result of a leak by a remote. The cause is another, or can't be determined.
    Family::without("on-path", "somebody on the path passes on 5 % of all contacts", Expect::NotStrong, |size| {
        rival(size, RivalPlan::OnPath(0.05))
    }),
    Family::without("one-device", "one device passes on its own addresses", Expect::NotStrong, |size| {
        rival(size, RivalPlan::OneDevice(0.8))
    }),
    Family::without("hitlist", "half of the addresses are probed two months later", Expect::Nobody, |size| {
        rival(size, RivalPlan::Hitlist(0.5, 60.0))
    }),
    Family::without(
        "framing",
        "an attacker probes after half of the contacts with a popular site",
        Expect::Undecidable,
        |size| rival(size, RivalPlan::Framing(0.5)),
    ),
    // No harvester: only scanners, and probes by chance.
    Family::clean("clean", "15 % of addresses are hit by chance", |size| HomePlan {
        background: Background { share: 0.15, ..Background::BASE },
        ..HomePlan::clean(size)
    }),
    Family::clean(
        "clean-uneven",
        "devices differ much, and the busy are hit more often, minutes after contacts",
        |size| HomePlan { background: ACTIVE, unevenness: 1.0, ..HomePlan::clean(size) },
    ),
    Family::clean("clean-bursts", "sites come and go, and hits by chance come in a burst", |size| HomePlan {
        background: Background { share: 0.4, burst: Some((0.4, 0.6)), ..Background::BASE },
        fashion: true,
        ..HomePlan::clean(size)
    }),
];

/// Five harvesters. These shares of the addresses visit the harvesters, and the lags range from seconds to hours.
fn five(size: HomeSize, scanner: fn(usize) -> usize) -> HomePlan {
    let shares = [0.2, 0.15, 0.12, 0.1, 0.08];
    let lags = [MINUTE, 10.0 * MINUTE, HOUR, 4.0 * HOUR, 10.0];
    let harvester = |number: usize| HarvesterPlan {
        place: HarvesterPlace::Site(shares[number]),
        lag: Lag::About(lags[number], 1.0),
        scanner: scanner(number),
        ..HarvesterPlan::BASE
    };
    HomePlan {
        harvesters: (0..5).map(harvester).collect(),
        scanners: (0..8).map(ScannerPlan::plain).collect(),
        ..HomePlan::base(size)
    }
}

fn popular(size: HomeSize, leak: LeakPlan) -> HomePlan {
    HomePlan::with(size, |harvester| (harvester.place, harvester.leak) = (HarvesterPlace::Site(0.4), leak))
}

fn lag(size: HomeSize, lag: Lag) -> HomePlan {
    HomePlan::with(size, |harvester| harvester.lag = lag)
}

/// The plan with its first scanner changed.
fn scanner(mut plan: HomePlan, change: impl FnOnce(&mut ScannerPlan)) -> HomePlan {
    change(&mut plan.scanners[0]);
    plan
}

fn rival(size: HomeSize, rival: RivalPlan) -> HomePlan {
    HomePlan { rival: Some(rival), ..HomePlan::clean(size) }
}
