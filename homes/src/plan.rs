//! The parameters of a home: habits, harvesters, scanners, probes by chance.
//!
//! [`HomePlan::base`] is an ordinary home with one harvester. In every home, also, a scanner sweeps low addresses, a
//! service checks its visitors for open proxies, and a content network measures the path to its visitors.
//!
//! Shares are shares of the temporary addresses, unless the field says otherwise. Times are in seconds.

/// A minute in seconds.
pub const MINUTE: f64 = 60.0;
/// An hour in seconds.
pub const HOUR: f64 = 3_600.0;
/// A day in seconds.
pub const DAY: f64 = 86_400.0;

/// Devices and days; each device uses one temporary address a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HomeSize {
    /// Devices.
    pub devices: usize,
    /// Days that are simulated.
    pub days: usize,
    /// Sites that the household may visit.
    pub sites: usize,
    /// The /64s of the home.
    pub networks: usize,
}

impl HomeSize {
    /// 50 addresses: the small home where most users live.
    pub const SMALL: HomeSize = HomeSize { devices: 5, days: 10, sites: 400, networks: 1 };
    /// 300 addresses.
    pub const MEDIUM: HomeSize = HomeSize { devices: 15, days: 20, sites: 1_200, networks: 2 };
    /// 1,500 addresses: a small office.
    pub const LARGE: HomeSize = HomeSize { devices: 50, days: 30, sites: 4_000, networks: 4 };
    /// All sizes.
    pub const ALL: [HomeSize; 3] = [HomeSize::SMALL, HomeSize::MEDIUM, HomeSize::LARGE];

    /// Temporary addresses.
    pub const fn addresses(self) -> usize {
        self.devices * self.days
    }

    /// The size with this number of addresses.
    pub fn of(addresses: usize) -> Option<HomeSize> {
        HomeSize::ALL.into_iter().find(|size| size.addresses() == addresses)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct HomePlan {
    /// Devices, days, sites.
    pub size: HomeSize,
    /// The mean number of visits of sites in the life of an address. With all others, it has about 40 contacts.
    pub visits: f64,
    /// How much that varies between devices and between days: standard deviation of the logarithm.
    pub unevenness: f64,
    /// Sites that nearly every address contacts early in its life.
    pub ubiquitous: usize,
    /// Sites that nearly every address contacts at some time in its life.
    pub common: usize,
    /// Servers of the NTP pool.
    pub ntp_servers: usize,
    /// How many of them an address asks.
    pub ntp_asked: usize,
    /// Each site is popular for a few days only.
    pub fashion: bool,
    /// The harvesters.
    pub harvesters: Vec<HarvesterPlan>,
    /// The scanners. Harvesters refer to them by position; probes by chance come from all of them.
    pub scanners: Vec<ScannerPlan>,
    /// Probes by chance.
    pub background: Background,
    /// The provider delegates another prefix every day.
    pub prefix_changes: bool,
    /// Share of devices with one stable random address (RFC 7217) instead of temporary ones.
    pub stable: f64,
    /// The sensor sees nothing between these days.
    pub outage: Option<(f64, f64)>,
    /// Peer-to-peer sessions.
    pub torrent: Option<Torrent>,
    /// A cause of probes other than a harvester.
    pub rival: Option<RivalPlan>,
    /// Seconds of the sensor's clock for each second of the plan. The lab has a day in less than a minute.
    pub pace: f64,
}

/// A remote, or an operator of several, that passes on the addresses that contact it.
#[derive(Clone, Copy, Debug)]
pub struct HarvesterPlan {
    /// How it is contacted.
    pub place: HarvesterPlace,
    /// Its addresses.
    pub addresses: HarvesterAddresses,
    /// Third parties that are loaded whenever it is.
    pub companions: usize,
    /// The share of other visits that load each of those as well.
    pub companions_elsewhere: f64,
    /// The contacts that it passes on.
    pub leak: LeakPlan,
    /// The time until the scanner probes.
    pub lag: Lag,
    /// The position in [`HomePlan::scanners`] of the scanner that it feeds.
    pub scanner: usize,
}

/// How a harvester is contacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HarvesterPlace {
    /// A site that this share of the addresses visits, some devices far more often than others. Half of the visits
    /// come from another, popular site.
    Site(f64),
    /// By nearly every address early in its life; the mean time until then.
    Early(f64),
    /// By nearly every address at some time, like other common sites.
    Common,
    /// As servers of the NTP pool, one for each of its addresses.
    Ntp,
    /// As a peer in most peer-to-peer sessions.
    Peer,
}

/// The addresses of a harvester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HarvesterAddresses {
    /// One.
    One,
    /// Another interface identifier after this number of hours.
    MovesWithin64(u32),
    /// Another /64 of one /48 after this number of hours.
    MovesWithin48(u32),
    /// This number at the same time, in /64s of one /48.
    Several(usize),
}

/// The contacts that a harvester passes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LeakPlan {
    /// The first of an address, with this probability.
    First(f64),
    /// Each with this probability, until one is passed on.
    Each(f64),
    /// The k-th of an address, with this probability.
    Kth(usize, f64),
}

/// The time from the contact to the first probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lag {
    /// Log-normal, by median and standard deviation of the logarithm.
    About(f64, f64),
    /// Always the same, plus up to two seconds.
    Fixed(f64),
    /// What was learned by day is probed from 03:00 on, within this time.
    Night(f64),
}

/// A scanner, and what its probes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannerPlan {
    /// The number of its networks: scanners with the same number share them.
    pub from: usize,
    /// The number of /64s that it uses.
    pub networks: usize,
    /// The number of its tool: scanners with the same number share the fingerprint.
    pub tool: usize,
    /// Another tool that it uses for half of the targets.
    pub second_tool: Option<usize>,
    /// On each day it probes only the first address that it learns of in a /64.
    pub once_a_day: bool,
}

impl ScannerPlan {
    /// A scanner with one /64 and one tool.
    pub const fn plain(number: usize) -> ScannerPlan {
        ScannerPlan { from: number, networks: 1, tool: number, second_tool: None, once_a_day: false }
    }
}

/// Probes by chance: scanners learned of the addresses by ways that the sensor can't see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// The share of addresses that are hit, the mean over devices. Some are hit far more often than others.
    pub share: f64,
    /// Probes come shortly after a contact with any remote, so that busy hours have more. Otherwise at any time.
    pub follows_activity: bool,
    /// Addresses with more contacts are hit more often, in proportion.
    pub by_activity: bool,
    /// Only addresses whose life begins in this part of the whole time are hit.
    pub burst: Option<(f64, f64)>,
    /// The share of these probes that comes from scanners that harvesters feed.
    pub from_fed: f64,
}

/// Peer-to-peer sessions: hundreds of peers within an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Torrent {
    /// The share of addresses with a session.
    pub share: f64,
    /// Peers that are contacted in a session.
    pub peers: usize,
    /// Connections from peers that were not contacted, to the session's port.
    pub inbound: usize,
}

/// A cause of probes other than a harvester.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RivalPlan {
    /// An observer on the path, or the resolver: each contact leaks with this probability.
    OnPath(f64),
    /// One device passes on its own addresses, each with this probability.
    OneDevice(f64),
    /// An attacker probes after this share of the first contacts with an innocent popular site.
    Framing(f64),
    /// This share of the addresses is probed this number of days after the end, long after their use.
    Hitlist(f64, f64),
}

impl HomePlan {
    /// An ordinary home: an eighth of the addresses visits the one harvester, some devices often and others hardly
    /// ever. It passes on six of ten, and the scanner probes within minutes. One address in twenty is hit by chance.
    pub fn base(size: HomeSize) -> HomePlan {
        HomePlan {
            size,
            visits: 30.0,
            unevenness: 0.4,
            ubiquitous: 6,
            common: 0,
            ntp_servers: 60,
            ntp_asked: 2,
            fashion: false,
            harvesters: vec![HarvesterPlan::BASE],
            scanners: (0..4).map(ScannerPlan::plain).collect(),
            background: Background::BASE,
            prefix_changes: false,
            stable: 0.0,
            outage: None,
            torrent: None,
            rival: None,
            pace: 1.0,
        }
    }

    /// The same without a harvester.
    pub fn clean(size: HomeSize) -> HomePlan {
        HomePlan { harvesters: Vec::new(), ..HomePlan::base(size) }
    }

    /// The base with a changed harvester.
    pub fn with(size: HomeSize, change: impl FnOnce(&mut HarvesterPlan)) -> HomePlan {
        let mut harvester = HarvesterPlan::BASE;
        change(&mut harvester);
        HomePlan { harvesters: vec![harvester], ..HomePlan::base(size) }
    }

    /// When the simulation ends: a day after the last address was new, or after a hitlist was replayed.
    pub(crate) fn end(&self) -> f64 {
        let replay = match self.rival {
            Some(RivalPlan::Hitlist(_, days)) => days + 1.0,
            _ => 1.0,
        };
        (self.size.days as f64 + replay) * DAY
    }

    /// Whether the sensor runs at a time.
    pub(crate) fn sees(&self, at: f64) -> bool {
        at < self.end() && self.outage.is_none_or(|(from, to)| !(from * DAY..to * DAY).contains(&at))
    }
}

impl HarvesterPlan {
    /// See [`HomePlan::base`].
    pub const BASE: HarvesterPlan = HarvesterPlan {
        place: HarvesterPlace::Site(0.12),
        addresses: HarvesterAddresses::One,
        companions: 0,
        companions_elsewhere: 0.0,
        leak: LeakPlan::First(0.6),
        lag: Lag::About(5.0 * MINUTE, 1.0),
        scanner: 0,
    };
}

impl Background {
    /// See [`HomePlan::base`].
    pub const BASE: Background =
        Background { share: 0.05, follows_activity: false, by_activity: false, burst: None, from_fed: 0.5 };
}
