//! Observations: the input of the core, from a live sensor or a file. A local is an address in a home prefix, and a
//! remote is an address outside.

use std::net::Ipv6Addr;

use sensor_common::{Kind, Proto};

use crate::time::{Span, Time};

/// A single observation, from a live sensor or from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A local began or continues an exchange with a remote.
    Contact(Contact),
    /// An unsolicited packet from a remote to a local.
    Probe(Probe),
    /// A local answered a probe: the local is exposed.
    Answer(Answer),
}

impl Observation {
    /// Time of the observation.
    #[must_use]
    pub fn ts(&self) -> Time {
        match self {
            Observation::Contact(contact) => contact.ts,
            Observation::Probe(probe) => probe.ts,
            Observation::Answer(answer) => answer.ts,
        }
    }

    /// Moves the times of the observation by `step`.
    pub fn shift(&mut self, step: Span) {
        match self {
            Observation::Contact(contact) => (contact.ts, contact.last) = (contact.ts + step, contact.last + step),
            Observation::Probe(probe) => probe.ts = probe.ts + step,
            Observation::Answer(answer) => answer.ts = answer.ts + step,
        }
    }
}

/// A local began or continued an exchange with a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Time of the first packet.
    pub ts: Time,
    /// Time of the last packet; not before `ts`.
    pub last: Time,
    /// The local: an address in a home prefix.
    pub local: Ipv6Addr,
    /// The remote: an address outside.
    pub remote: Ipv6Addr,
    /// The protocol: TCP, UDP or ICMPv6.
    pub proto: Proto,
    /// The remote's port, 0 for ICMPv6.
    pub port: u16,
    /// The local's port, if known.
    pub local_port: Option<u16>,
    /// Number of exchanges; 0 if the observation only updates `last`.
    pub count: u32,
    /// The remote's name as seen in DNS or TLS.
    pub name: Option<String>,
    /// The device that the local belongs to.
    pub device: Option<String>,
}

impl Contact {
    /// A single exchange whose optional fields are unknown.
    #[must_use]
    pub const fn new(ts: Time, local: Ipv6Addr, remote: Ipv6Addr, proto: Proto, port: u16) -> Contact {
        let last = ts;
        Contact { ts, last, local, remote, proto, port, local_port: None, count: 1, name: None, device: None }
    }
}

/// An unsolicited packet from a source to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Time of the packet.
    pub ts: Time,
    /// The remote that sent the packet.
    pub source: Ipv6Addr,
    /// The local that received the packet.
    pub target: Ipv6Addr,
    /// The kind of packet.
    pub kind: Kind,
    /// The target's port, 0 for echo requests.
    pub port: u16,
    /// Number of probes of this kind that the observation represents, at least 1.
    pub count: u32,
    /// Header fields that distinguish scanners, if known.
    pub traits: Traits,
    /// Whether the target had contacted the source before, as far as the observer knew.
    pub contacted_source: bool,
    /// Whether the target answered, as far as the observer knew.
    pub answered: bool,
    /// Whether this is UDP from just after the sensor's start, when the ports in use were not yet known: no evidence.
    pub settling: bool,
    /// The device that the target belongs to.
    pub device: Option<String>,
}

impl Probe {
    /// A single packet whose optional fields are unknown.
    #[must_use]
    pub fn new(ts: Time, source: Ipv6Addr, target: Ipv6Addr, kind: Kind, port: u16) -> Probe {
        Probe {
            ts,
            source,
            target,
            kind,
            port,
            count: 1,
            traits: Traits::default(),
            contacted_source: false,
            answered: false,
            settling: false,
            device: None,
        }
    }
}

/// Header fields of a probe beyond kind and port. Fields are `None` if the sensor, log or capture lacks them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Traits {
    /// The hop limit on arrival.
    pub hop_limit: Option<u8>,
    /// The source's port.
    pub source_port: Option<u16>,
    /// ICMPv6 echo identifier.
    pub icmp_id: Option<u16>,
    /// ICMPv6 echo sequence number.
    pub icmp_seq: Option<u16>,
    /// Number of bytes after the upper-layer header.
    pub payload_len: Option<u16>,
    /// A hash of the payload. Its form depends on the sensor, log or capture.
    pub payload_hash: Option<String>,
    /// TCP window.
    pub window: Option<u16>,
    /// TCP options. Their form depends on the sensor, log or capture.
    pub tcp_options: Option<String>,
    /// TCP flags.
    pub tcp_flags: Option<u8>,
    /// IPv6 flow label.
    pub flow_label: Option<u32>,
}

/// A local answered a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Time of the answer.
    pub ts: Time,
    /// The remote that had sent the probe.
    pub source: Ipv6Addr,
    /// The local that answered.
    pub target: Ipv6Addr,
    /// The kind of the probe.
    pub kind: Kind,
    /// The target's port, 0 for echo requests.
    pub port: u16,
}
