//! The parameters of a home: habits, harvesters, scanners, probes by chance.
//!
//! [`HomePlan::base`] is an ordinary home with one harvester. In every home, a scanner also sweeps low addresses, a
//! service checks its visitors for open proxies, and a content network measures the path to its visitors.
//!
//! Shares are shares of the temporary addresses, unless the field says otherwise. Times are in seconds.

/// A minute in seconds.
pub const MINUTE: f64 = 60.0;
/// An hour in seconds.
pub const HOUR: f64 = 3_600.0;
/// A day in seconds.
pub const DAY: f64 = 86_400.0;

/// Number of devices and days. Each device uses one temporary address a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HomeSize {
    /// Number of devices.
    pub devices: usize,
    /// Number of simulated days.
    pub days: usize,
    /// Number of sites that the household may visit.
    pub sites: usize,
    /// Number of the home's /64s.
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

    /// Number of temporary addresses.
    pub const fn addresses(self) -> usize {
        self.devices * self.days
    }

    /// The size with this number of addresses.
    pub fn of(addresses: usize) -> Option<HomeSize> {
        HomeSize::ALL.into_iter().find(|size| size.addresses() == addresses)
    }
}

/// The plan of a home, as the module documentation describes.
#[derive(Clone, Debug)]
pub struct HomePlan {
    /// Number of devices, days, sites and /64s.
    pub size: HomeSize,
    /// Mean number of visits of sites in the life of an address. Together with all other contacts, an address has
    /// about 40 contacts.
    pub visits: f64,
    /// Variation of `visits` between devices and between days: standard deviation of the logarithm.
    pub unevenness: f64,
    /// Number of sites that nearly every address contacts early in its life.
    pub ubiquitous: usize,
    /// Number of sites that nearly every address contacts at some time in its life.
    pub common: usize,
    /// Number of servers of the NTP pool.
    pub ntp_servers: usize,
    /// Number of NTP servers that an address asks.
    pub ntp_asked: usize,
    /// Whether each site is popular for a few days only.
    pub fashion: bool,
    /// The harvesters.
    pub harvesters: Vec<HarvesterPlan>,
    /// The scanners. Harvesters refer to scanners by position. Probes by chance come from all scanners.
    pub scanners: Vec<ScannerPlan>,
    /// Probes by chance.
    pub background: Background,
    /// Whether the provider delegates another prefix every day.
    pub prefix_changes: bool,
    /// Share of devices with one stable random address (RFC 7217) instead of temporary addresses.
    pub stable: f64,
    /// Start and end of an outage, in days. The sensor sees nothing during the outage.
    pub outage: Option<(f64, f64)>,
    /// Peer-to-peer sessions.
    pub torrent: Option<Torrent>,
    /// A cause of probes other than a harvester.
    pub rival: Option<RivalPlan>,
    /// Seconds of the sensor's clock for each second of the plan. In the lab, a day takes less than a minute.
    pub pace: f64,
}

/// A remote, or an operator of several remotes, that passes on the addresses of its visitors.
#[derive(Clone, Copy, Debug)]
pub struct HarvesterPlan {
    /// The way in which a home contacts the harvester.
    pub place: HarvesterPlace,
    /// The harvester's addresses.
    pub addresses: HarvesterAddresses,
    /// Number of third parties that are loaded with every contact of the harvester.
    pub companions: usize,
    /// Share of other visits that load each of these third parties as well.
    pub companions_elsewhere: f64,
    /// The contacts that the harvester passes on.
    pub leak: LeakPlan,
    /// The time until the scanner probes.
    pub lag: Lag,
    /// Position in [`HomePlan::scanners`] of the scanner that the harvester feeds.
    pub scanner: usize,
}

/// The way in which a home contacts a harvester.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HarvesterPlace {
    /// A site that this share of the addresses visits. Some devices visit the site far more often than others. Half
    /// of the visits come from another, popular site.
    Site(f64),
    /// Contacts by nearly every address early in its life; the value is the mean time until the contact.
    Early(f64),
    /// Contacts by nearly every address at some time, as with other common sites.
    Common,
    /// Servers of the NTP pool: each address of the harvester is a server.
    Ntp,
    /// A peer in most peer-to-peer sessions.
    Peer,
}

/// The addresses of a harvester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HarvesterAddresses {
    /// One address.
    One,
    /// One interface identifier at a time, with a change after this number of hours.
    MovesWithin64(u32),
    /// One /64 of a /48 at a time, with a change after this number of hours.
    MovesWithin48(u32),
    /// This number of addresses at the same time, in /64s of one /48.
    Several(usize),
}

/// The contacts that a harvester passes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LeakPlan {
    /// The first contact of an address, with this probability.
    First(f64),
    /// Each contact with this probability, until one contact is passed on.
    Each(f64),
    /// The k-th contact of an address, with this probability.
    Kth(usize, f64),
}

/// The time from the contact to the first probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lag {
    /// Log-normal, with this median and this standard deviation of the logarithm.
    About(f64, f64),
    /// A constant time, plus up to two seconds.
    Fixed(f64),
    /// Probes from 03:00 on, within this time, of the addresses that were learned by day.
    Night(f64),
}

/// A scanner, and the form of its probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannerPlan {
    /// Number that identifies the scanner's networks. Scanners with the same number share these networks.
    pub from: usize,
    /// Number of /64s that the scanner uses.
    pub networks: usize,
    /// Number of the scanner's tool. Scanners with the same number share the fingerprint.
    pub tool: usize,
    /// Another tool, which the scanner uses for half of the targets.
    pub second_tool: Option<usize>,
    /// Whether, on each day, the scanner probes only the first address that it learns of in a /64.
    pub once_a_day: bool,
}

impl ScannerPlan {
    /// A scanner with one /64 and one tool.
    pub const fn plain(number: usize) -> ScannerPlan {
        ScannerPlan { from: number, networks: 1, tool: number, second_tool: None, once_a_day: false }
    }
}

/// Probes by chance: scanners learned of the addresses in ways that the sensor can't see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// Share of addresses that are hit (probed by chance), as the mean over devices. Some devices are hit far more
    /// often than others.
    pub share: f64,
    /// Whether probes come shortly after a contact with any remote, so that busy hours have more probes. Otherwise
    /// probes come at any time.
    pub follows_activity: bool,
    /// Whether the frequency of hits is proportional to an address's number of contacts.
    pub by_activity: bool,
    /// The part of the whole time in which the life of a hit address begins. `None`: any time.
    pub burst: Option<(f64, f64)>,
    /// Share of these probes that comes from scanners that harvesters feed.
    pub from_fed: f64,
}

/// Peer-to-peer sessions: hundreds of peers within an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Torrent {
    /// The share of addresses with a session.
    pub share: f64,
    /// Number of peers that an address contacts in a session.
    pub peers: usize,
    /// Number of connections to the session's port from peers that the session did not contact.
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
    /// An ordinary home. An eighth of the addresses visits the one harvester; some devices visit often and others
    /// hardly ever. The harvester passes on six of ten visitors, and the scanner probes within minutes. One address
    /// in twenty is hit by chance.
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

    /// The base plan without a harvester.
    pub fn clean(size: HomeSize) -> HomePlan {
        HomePlan { harvesters: Vec::new(), ..HomePlan::base(size) }
    }

    /// The base plan with a changed harvester.
    pub fn with(size: HomeSize, change: impl FnOnce(&mut HarvesterPlan)) -> HomePlan {
        let mut harvester = HarvesterPlan::BASE;
        change(&mut harvester);
        HomePlan { harvesters: vec![harvester], ..HomePlan::base(size) }
    }

    /// Time at which the simulation ends: a day after the last address was new, or after the replay of a hitlist.
    pub(crate) fn end(&self) -> f64 {
        let replay = match self.rival {
            Some(RivalPlan::Hitlist(_, days)) => days + 1.0,
            _ => 1.0,
        };
        (self.size.days as f64 + replay) * DAY
    }

    /// Whether the sensor runs at time `at`.
    pub(crate) fn sees(&self, at: f64) -> bool {
        at < self.end() && self.outage.is_none_or(|(from, to)| !(from * DAY..to * DAY).contains(&at))
    }
}

impl HarvesterPlan {
    /// The harvester of [`HomePlan::base`].
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
    /// The probes by chance of [`HomePlan::base`].
    pub const BASE: Background =
        Background { share: 0.05, follows_activity: false, by_activity: false, burst: None, from_fed: 0.5 };
}
