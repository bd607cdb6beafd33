//! What a family prescribes: the home's habits, who leaks, who scans, what happens by chance.
//!
//! [`Plan::base`] is an ordinary home with one harvester; a family changes what it is about.
//! Beside that, in every home, somebody sweeps low addresses, a service checks its visitors for open
//! proxies, and a content network measures the path to its own.
//!
//! Shares are of temporary addresses unless told otherwise; times are in seconds.

use super::size::Size;

/// A minute in seconds.
pub const MINUTE: f64 = 60.0;
/// An hour in seconds.
pub const HOUR: f64 = 3_600.0;
/// A day in seconds.
pub const DAY: f64 = 86_400.0;

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Devices, days, sites.
    pub size: Size,
    /// Visits of sites in the life of an address, the mean. With the rest about 40 contacts.
    pub visits: f64,
    /// Spread of that from device to device and from day to day: standard deviation of the logarithm.
    pub unevenness: f64,
    /// Sites that nearly every address contacts early in its life.
    pub ubiquitous: usize,
    /// Sites that nearly every address contacts at some time of its life.
    pub common: usize,
    /// Servers of the NTP pool, of which an address asks `ntp_asked`.
    pub ntp_servers: usize,
    /// See `ntp_servers`.
    pub ntp_asked: usize,
    /// Sites come and go: each is popular for a few days.
    pub fashion: bool,
    /// Who leaks.
    pub harvesters: Vec<Harvester>,
    /// Who scans. Harvesters name a position in here; background comes from all.
    pub scanners: Vec<Scanner>,
    /// Hits by chance.
    pub background: Background,
    /// The provider hands out another home prefix every day.
    pub prefix_changes: bool,
    /// Share of devices with one stable random address (RFC 7217) instead of temporary ones.
    pub stable: f64,
    /// The sensor sees nothing between these days.
    pub outage: Option<(f64, f64)>,
    /// Peer-to-peer sessions.
    pub torrent: Option<Torrent>,
    /// What puts probes where no single remote is to blame.
    pub rival: Option<Rival>,
}

/// A remote, or an operator of several, that passes on who contacts it.
#[derive(Clone, Copy, Debug)]
pub struct Harvester {
    /// How it is contacted.
    pub place: Place,
    /// Under which addresses.
    pub addresses: Addresses,
    /// Third parties that are loaded whenever it is.
    pub companions: usize,
    /// Those are loaded by this share of other visits as well, each of them; 0: never.
    pub companions_elsewhere: f64,
    /// Which contacts it passes on.
    pub leak: Leak,
    /// How long until the scanner comes.
    pub lag: Lag,
    /// The scanner that it feeds, a position in [`Plan::scanners`].
    pub scanner: usize,
}

/// How a harvester is contacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// A site that this share of addresses visits, some devices far more often than others; half of
    /// the visits come from another, popular site.
    Site(f64),
    /// By nearly every address early in its life, on average after so many seconds.
    Early(f64),
    /// By nearly every address at some time, as other common sites.
    Common,
    /// In the NTP pool, with each of its addresses.
    Ntp,
    /// A peer in most peer-to-peer sessions.
    Peer,
}

/// Under which addresses a harvester is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// A single one.
    One,
    /// Another interface identifier every so many hours.
    MovesWithin64(u32),
    /// Another /64 of one /48 every so many hours.
    MovesWithin48(u32),
    /// So many at the same time, in /64s of one /48.
    Several(usize),
}

/// Which contacts are passed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leak {
    /// The first of an address, with this probability.
    First(f64),
    /// Each, with this probability, until one was.
    Each(f64),
    /// The k-th of an address, with this probability.
    Kth(usize, f64),
}

/// From the contact to the first probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lag {
    /// Log-normal, by median and standard deviation of the logarithm.
    About(f64, f64),
    /// Always the same, but for a second or two.
    Fixed(f64),
    /// What was learned by day is scanned from 03:00 on, over this time.
    Night(f64),
}

/// Who scans, and what its probes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Where from. Scanners with the same number share their place.
    pub from: usize,
    /// /64s that it uses: one, or hundreds all over the world.
    pub networks: usize,
    /// The tool: scanners with the same number share the fingerprint.
    pub tool: usize,
    /// A second tool that half of the targets get instead.
    pub second_tool: Option<usize>,
    /// It probes only the first address in a /64 that it learns of on a day.
    pub once_a_day: bool,
}

impl Scanner {
    /// One /64, one tool.
    #[must_use]
    pub const fn plain(number: usize) -> Scanner {
        Scanner { from: number, networks: 1, tool: number, second_tool: None, once_a_day: false }
    }
}

/// Hits by chance: of addresses that were learned by ways that nobody sees here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// Share of addresses, the mean over devices; some are hit far more often than others.
    pub share: f64,
    /// Shortly after a contact with anybody, so that the busy hours have more; else at any time.
    pub follows_activity: bool,
    /// Addresses with more contacts are hit more often, in proportion.
    pub by_activity: bool,
    /// Only addresses that live in this part of the whole time.
    pub burst: Option<(f64, f64)>,
    /// Share of it that comes from the scanners that harvesters feed; the rest from the others.
    pub from_fed: f64,
}

/// Peer-to-peer sessions: hundreds of peers within an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Torrent {
    /// Share of addresses with a session.
    pub share: f64,
    /// Peers contacted in a session.
    pub peers: usize,
    /// Connections from peers that were not contacted, to the session's port.
    pub inbound: usize,
}

/// What puts probes where no single remote is to blame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rival {
    /// Somebody on the path, or the resolver: every contact leaks with this probability.
    OnPath(f64),
    /// One device tells of its addresses by other means, each with this probability.
    OneDevice(f64),
    /// An attacker probes shortly after this share of the contacts with an innocent popular site.
    Framing(f64),
    /// This share of addresses is probed so many days after the end, all long out of use.
    Hitlist(f64, f64),
}

impl Plan {
    /// An ordinary home: one harvester that an eighth of the addresses visits, some devices often and
    /// others hardly ever, which passes on six of ten; the scanner comes within minutes. One address in
    /// twenty is hit by chance.
    #[must_use]
    pub fn base(size: Size) -> Plan {
        Plan {
            size,
            visits: 30.0,
            unevenness: 0.4,
            ubiquitous: 6,
            common: 0,
            ntp_servers: 60,
            ntp_asked: 2,
            fashion: false,
            harvesters: vec![Harvester::BASE],
            scanners: (0..4).map(Scanner::plain).collect(),
            background: Background::BASE,
            prefix_changes: false,
            stable: 0.0,
            outage: None,
            torrent: None,
            rival: None,
        }
    }

    /// The same without a harvester.
    #[must_use]
    pub fn clean(size: Size) -> Plan {
        Plan { harvesters: Vec::new(), ..Plan::base(size) }
    }

    /// The base with its harvester changed.
    #[must_use]
    pub fn with(size: Size, change: impl FnOnce(&mut Harvester)) -> Plan {
        let mut harvester = Harvester::BASE;
        change(&mut harvester);
        Plan { harvesters: vec![harvester], ..Plan::base(size) }
    }
}

impl Harvester {
    /// See [`Plan::base`].
    pub const BASE: Harvester = Harvester {
        place: Place::Site(0.12),
        addresses: Addresses::One,
        companions: 0,
        companions_elsewhere: 0.0,
        leak: Leak::First(0.6),
        lag: Lag::About(5.0 * MINUTE, 1.0),
        scanner: 0,
    };
}

impl Background {
    /// See [`Plan::base`].
    pub const BASE: Background =
        Background { share: 0.05, follows_activity: false, by_activity: false, burst: None, from_fed: 0.5 };
}
