//! Options of a reading, and its progress.

use ipnet::Ipv6Net;
use jiff::tz::TimeZone;
use tattler_core::time::Time;

use super::Position;

/// Options of a reading.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The home prefixes, for all inputs except JSON Lines. Inferred if empty.
    pub home: Vec<Ipv6Net>,
    /// The time zone of times without a stated zone. UTC if not given.
    pub zone: Option<TimeZone>,
    /// The year of the first line of a log without years. If not given, the latest possible year.
    pub year: Option<i16>,
    /// The current time. Times far after `now` are refused. `None` accepts all times.
    pub now: Option<Time>,
    /// Positions that earlier readings reached. Items before these positions make no observations again.
    pub known: Vec<Position>,
    /// Function that is called from time to time with the progress.
    pub progress: Option<fn(&ReadProgress<'_>)>,
}

/// The progress of a reading.
#[derive(Clone, Copy, Debug)]
pub struct ReadProgress<'a> {
    /// Name of the input.
    pub name: &'a str,
    /// Number of bytes read from the input so far, as stored on the disk.
    pub read: u64,
    /// Size of the input, if known.
    pub size: Option<u64>,
    /// Number of lines or frames read so far.
    pub items: u64,
    /// Whether this is the first of two readings, which only infers the home prefix.
    pub finds_home: bool,
}
