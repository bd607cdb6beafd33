//! Flow records: exchanges that are over when they are told.
//!
//! A record says who began, from when to when, and whether the other side answered. The rules want
//! packets in the order of their times, so records wait a while and are then played to them: what
//! began the exchange, its answer, its end.
//!
//! # Layout
//! - `halves`: two records of one direction each become one of both
//! - `order`: records by the time at which they began

use sensor_common::parse::{Detail, Tuple};
use sensor_common::{Header, Proto, Signal};
use tattler_core::time::Time;

mod halves;
mod order;

pub use halves::FlowHalves;
pub use order::Order;

/// An exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Its first packet.
    pub first: Time,
    /// Its last packet, of either side; not before `first`.
    pub last: Time,
    /// `src` is who began. Ports are 0 for ICMPv6, unless its identifier is known.
    pub tuple: Tuple,
    /// What it began with: an echo request, a SYN, UDP or impossible TCP.
    pub begins: Signal,
    /// The other side answered: SYN-ACK, echo reply, UDP.
    pub answered: bool,
    /// The TCP flags of whoever began, all together.
    pub flags: Option<u8>,
}

/// What one side sent in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHalf {
    /// The first packet.
    pub first: Time,
    /// The last packet; not before `first`.
    pub last: Time,
    /// Who sent to whom.
    pub tuple: Tuple,
    /// In which protocol.
    pub proto: Proto,
    /// All TCP flags that were sent; `None` or 0 where the exporter tells none.
    pub flags: Option<u8>,
    /// Echo replies, which answer.
    pub is_reply: bool,
}

/// What a record was read from, so that an import knows how far it has told all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineOrigin {
    /// The number of the input, and of the line in it: the first, if it is of two.
    pub at: (usize, u64),
    /// Told already, at an earlier reading.
    pub is_old: bool,
}

impl LineOrigin {
    /// Of a record that is of both.
    #[must_use]
    pub fn and(self, other: LineOrigin) -> LineOrigin {
        LineOrigin { at: self.at.min(other.at), is_old: self.is_old || other.is_old }
    }
}

impl FlowRecord {
    /// The packet that began it.
    #[must_use]
    pub fn opening(&self) -> Header {
        Header { signal: self.begins, tuple: self.tuple, detail: Detail::default() }
    }

    /// The packet that answered.
    #[must_use]
    pub fn reply(&self) -> Option<Header> {
        let signal = match self.begins {
            Signal::Syn => Signal::SynAck,
            Signal::Udp => Signal::Udp,
            Signal::Echo => Signal::EchoReply,
            _ => return None,
        };
        let Tuple { src, dst, src_port, dst_port } = self.tuple;
        let tuple = Tuple { src: dst, dst: src, src_port: dst_port, dst_port: src_port };
        self.answered.then_some(Header { signal, tuple, detail: Detail::default() })
    }
}

/// A packet of a half, as far as it is known: who speaks to whom.
#[must_use]
pub fn header(half: &FlowHalf) -> Header {
    let signal = match half.proto {
        Proto::Tcp => Signal::Syn,
        Proto::Udp => Signal::Udp,
        Proto::Icmpv6 => Signal::Echo,
    };
    Header { signal, tuple: half.tuple, detail: Detail::default() }
}

#[cfg(test)]
mod tests;
