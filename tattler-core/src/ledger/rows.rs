//! What the ledger keeps: one compact row for each local, contact and probe.

use sensor_common::{IidClass, Kind, Proto};

use super::table::Row;
use crate::time::Time;

/// An address, by the number that the ledger gave it. Numbers are dense, and valid until the ledger
/// is pruned or makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddrId(pub u32);

/// An address in a home prefix.
#[derive(Clone, Debug)]
pub struct Local {
    /// Which.
    pub address: AddrId,
    /// First and last contact; `None` if it was never seen in use.
    pub used: Option<(Time, Time)>,
    /// What its interface identifier looks like.
    pub iid: IidClass,
    /// What the operating system says: temporary (RFC 8981) or not; `None` if nobody asked it.
    pub temporary: Option<bool>,
    /// Meant to be reached, by the configuration.
    pub public: bool,
    /// Answered a probe.
    pub exposed: bool,
    /// When it ceased to be home, if it did: probes since then are no news of it.
    pub ended: Option<Time>,
    /// The device that it belongs to, where known: a number of the ledger's.
    pub device: Option<u32>,
    /// The latest time at which anything was told of it.
    pub told: Time,
}

/// A local's contacts with a remote over one protocol and port.
#[derive(Clone, Debug)]
pub struct ContactRow {
    /// The address inside.
    pub local: AddrId,
    /// The address outside.
    pub remote: AddrId,
    /// First exchange.
    pub first: Time,
    /// Last exchange.
    pub last: Time,
    /// Exchanges begun, as far as they were counted.
    pub count: u32,
    /// The remote's port.
    pub port: u16,
    /// TCP, UDP or ICMPv6.
    pub proto: Proto,
}

/// A source's probes of a target with one kind and port.
#[derive(Clone, Debug)]
pub struct ProbeRow {
    /// Who sent them.
    pub source: AddrId,
    /// Who got them.
    pub target: AddrId,
    /// First probe.
    pub first: Time,
    /// Last probe.
    pub last: Time,
    /// Probes.
    pub count: u32,
    /// The target's port, 0 for echo requests.
    pub port: u16,
    /// What they were made of.
    pub kind: Kind,
    /// The observer knew of an earlier contact of the target with the source. What the ledger knows
    /// itself is looked up when needed, whatever the order of arrival.
    pub contacted_source: bool,
    /// The target answered.
    pub answered: bool,
    /// The hop limits that probes arrived with.
    pub hops: Hops,
    /// What the first probe looked like.
    pub print: Print,
}

impl ProbeRow {
    /// Four hop limits in a row: echo requests that count the hops to the target, a traceroute by
    /// ping.
    #[must_use]
    pub fn is_path_probe(&self) -> bool {
        self.kind == Kind::Echo && self.hops.ascend()
    }
}

/// A set of hop limits below 128. Those of probes that count hops are low: whoever begins at 128 has
/// no path so long. In two words, since one of 128 bits would align the row by 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hops([u64; 2]);

impl Hops {
    /// Adds one.
    pub fn insert(&mut self, hop_limit: u8) {
        if let Some(word) = self.0.get_mut(usize::from(hop_limit / 64)) {
            *word |= 1 << (hop_limit % 64);
        }
    }

    /// Adds another's.
    pub fn union(&mut self, other: Hops) {
        self.0[0] |= other.0[0];
        self.0[1] |= other.0[1];
    }

    /// Four in a row.
    #[must_use]
    pub fn ascend(self) -> bool {
        let h = u128::from(self.0[0]) | u128::from(self.0[1]) << 64;
        h & (h >> 1) & (h >> 2) & (h >> 3) != 0
    }
}

/// The traits of a probe in compact form; strings are numbers of the ledger's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Print {
    /// Hop limit as it arrived.
    pub hop_limit: Option<u8>,
    /// TCP flags.
    pub tcp_flags: Option<u8>,
    /// The source's port.
    pub source_port: Option<u16>,
    /// ICMPv6 echo identifier.
    pub icmp_id: Option<u16>,
    /// ICMPv6 echo sequence number.
    pub icmp_seq: Option<u16>,
    /// Bytes behind the upper-layer header.
    pub payload_len: Option<u16>,
    /// TCP window.
    pub window: Option<u16>,
    /// IPv6 flow label.
    pub flow_label: Option<u32>,
    /// A hash of the payload.
    pub payload_hash: Option<u32>,
    /// TCP options.
    pub tcp_options: Option<u32>,
}

/// (local, remote, protocol, port)
pub(super) type ContactKey = (AddrId, AddrId, Proto, u16);
/// (source, target, kind, port)
pub(super) type ProbeKey = (AddrId, AddrId, Kind, u16);

impl Row for Local {
    type Key = AddrId;
    fn key(&self) -> AddrId {
        self.address
    }
}

impl Row for ContactRow {
    type Key = ContactKey;
    fn key(&self) -> ContactKey {
        (self.local, self.remote, self.proto, self.port)
    }
}

impl Row for ProbeRow {
    type Key = ProbeKey;
    fn key(&self) -> ProbeKey {
        (self.source, self.target, self.kind, self.port)
    }
}
