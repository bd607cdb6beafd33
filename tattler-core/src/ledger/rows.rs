//! Rows of the ledger: one compact row for each local, contact and probe.

use sensor_common::{IidClass, Kind, Proto};

use super::table::Keyed;
use crate::time::Time;

/// The ledger's number for an address. Numbers are dense. They are valid until the ledger is pruned
/// or evicts rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddrId(pub u32);

/// A local: an address in a home prefix.
#[derive(Clone, Debug)]
pub struct Local {
    /// The address.
    pub address: AddrId,
    /// Times of the first and last contact; `None` if the local was never seen in use.
    pub used: Option<(Time, Time)>,
    /// The class of the address's interface identifier.
    pub iid: IidClass,
    /// Whether the address is temporary (RFC 8981) according to the operating system; `None` if
    /// unknown.
    pub temporary: Option<bool>,
    /// Whether the configuration says that the local is meant to be reached.
    pub public: bool,
    /// Whether the local answered a probe.
    pub exposed: bool,
    /// Time from which the local was no longer home, if any: later probes are no evidence.
    pub ended: Option<Time>,
    /// The number of the local's device in the ledger, if known.
    pub device: Option<u32>,
    /// The latest time of any information about the local.
    pub latest: Time,
}

/// The contacts of a local with a remote over one protocol and port.
#[derive(Clone, Debug)]
pub struct ContactRow {
    /// The local: the address inside.
    pub local: AddrId,
    /// The remote: the address outside.
    pub remote: AddrId,
    /// Time of the first exchange.
    pub first: Time,
    /// Time of the last exchange.
    pub last: Time,
    /// Number of exchanges that began, as far as counted.
    pub count: u32,
    /// The remote's port.
    pub port: u16,
    /// The protocol: TCP, UDP or ICMPv6.
    pub proto: Proto,
}

/// The probes of a source to a target with one kind and port.
#[derive(Clone, Debug)]
pub struct ProbeRow {
    /// The remote that sent the probes.
    pub source: AddrId,
    /// The local that received the probes.
    pub target: AddrId,
    /// Time of the first probe.
    pub first: Time,
    /// Time of the last probe.
    pub last: Time,
    /// Number of probes.
    pub count: u32,
    /// The target's port, 0 for echo requests.
    pub port: u16,
    /// The kind of packet.
    pub kind: Kind,
    /// Whether the observer knew of an earlier contact of the target with the source. Contacts in
    /// the ledger are looked up when needed, so the order of arrival does not matter.
    pub contacted_source: bool,
    /// Whether the target answered.
    pub answered: bool,
    /// The hop limits on arrival.
    pub hops: Hops,
    /// Header fields of the first probe.
    pub print: PackedTraits,
}

impl ProbeRow {
    /// Whether the row consists of echo requests with four consecutive hop limits: a traceroute by
    /// ping.
    #[must_use]
    pub fn is_path_probe(&self) -> bool {
        self.kind == Kind::Echo && self.hops.ascend()
    }
}

/// A set of hop limits below 128. Packets of a traceroute arrive with low hop limits. Other packets
/// start with a higher hop limit, and no path is long enough to reduce it that far. The set is
/// stored as two words, because a `u128` would align the row to 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hops([u64; 2]);

impl Hops {
    /// Adds a hop limit.
    pub fn insert(&mut self, hop_limit: u8) {
        if let Some(word) = self.0.get_mut(usize::from(hop_limit / 64)) {
            *word |= 1 << (hop_limit % 64);
        }
    }

    /// Adds all hop limits of another set.
    pub fn union(&mut self, other: Hops) {
        self.0[0] |= other.0[0];
        self.0[1] |= other.0[1];
    }

    /// Whether four consecutive hop limits are in the set.
    #[must_use]
    pub fn ascend(self) -> bool {
        let h = u128::from(self.0[0]) | u128::from(self.0[1]) << 64;
        h & (h >> 1) & (h >> 2) & (h >> 3) != 0
    }
}

/// [`Traits`](crate::observation::Traits) of a probe in compact form. Strings are replaced by their
/// numbers in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackedTraits {
    /// Hop limit on arrival.
    pub hop_limit: Option<u8>,
    /// TCP flags.
    pub tcp_flags: Option<u8>,
    /// The source's port.
    pub source_port: Option<u16>,
    /// ICMPv6 echo identifier.
    pub icmp_id: Option<u16>,
    /// ICMPv6 echo sequence number.
    pub icmp_seq: Option<u16>,
    /// Bytes after the upper-layer header.
    pub payload_len: Option<u16>,
    /// TCP window.
    pub window: Option<u16>,
    /// Number of bytes after the upper-layer header.
    pub flow_label: Option<u32>,
    /// A hash of the payload, as the number of a string.
    pub payload_hash: Option<u32>,
    /// TCP options, as the number of a string.
    pub tcp_options: Option<u32>,
}

/// The key of a contact: (local, remote, protocol, port).
pub(super) type ContactKey = (AddrId, AddrId, Proto, u16);
/// The key of a probe: (source, target, kind, port).
pub(super) type ProbeKey = (AddrId, AddrId, Kind, u16);

impl Keyed for Local {
    type Key = AddrId;
    fn key(&self) -> AddrId {
        self.address
    }
}

impl Keyed for ContactRow {
    type Key = ContactKey;
    fn key(&self) -> ContactKey {
        (self.local, self.remote, self.proto, self.port)
    }
}

impl Keyed for ProbeRow {
    type Key = ProbeKey;
    fn key(&self) -> ProbeKey {
        (self.source, self.target, self.kind, self.port)
    }
}
