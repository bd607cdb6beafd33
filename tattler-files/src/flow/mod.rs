//! Flow records: exchanges that an exporter wrote down at their ends.
//!
//! A record has the initiator, the first and last time, and whether the other side answered. The rules need packets
//! in the order of time. So records wait for a while. Then the rules get the packets of each record: its opening, its
//! answer and its end.
//!
//! # Layout
//! - `halves`: joins two records that each cover one direction
//! - `order`: sorts records by their beginnings

use sensor_common::parse::{Detail, Tuple};
use sensor_common::{Header, Proto, Signal};
use tattler_core::time::Time;

mod halves;
mod order;

pub use halves::FlowHalves;
pub use order::FlowOrder;

/// An exchange with both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Time of the first packet.
    pub first: Time,
    /// Time of the last packet of either side; not before `first`.
    pub last: Time,
    /// Addresses and ports; `src` is the initiator. Ports are 0 for ICMPv6, unless the echo identifier is known.
    pub tuple: Tuple,
    /// Signal of the first packet: an echo request, a SYN, UDP or impossible TCP flags.
    pub begins: Signal,
    /// Whether the other side answered with SYN-ACK, echo reply or UDP.
    pub answered: bool,
    /// All TCP flags that the initiator sent.
    pub flags: Option<u8>,
}

/// One direction of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHalf {
    /// The time of the first packet.
    pub first: Time,
    /// The time of the last packet; not before `first`.
    pub last: Time,
    /// Addresses and ports; `src` is the sender.
    pub tuple: Tuple,
    /// The protocol.
    pub proto: Proto,
    /// All TCP flags that were sent; `None` or 0 if the exporter records no flags.
    pub flags: Option<u8>,
    /// Whether the packets are echo replies.
    pub is_reply: bool,
}

/// The origin of a record: its line. An import needs the origin to find the position before which all records were
/// handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineOrigin {
    /// Number of the input, and number of the line in the input. For a record made from two lines, the first line.
    pub at: (usize, u64),
    /// Whether an earlier reading has handed the line on.
    pub is_old: bool,
}

impl LineOrigin {
    /// The origin of a record made from two lines.
    #[must_use]
    pub fn and(self, other: LineOrigin) -> LineOrigin {
        LineOrigin { at: self.at.min(other.at), is_old: self.is_old || other.is_old }
    }
}

impl FlowRecord {
    /// The first packet of the exchange.
    #[must_use]
    pub fn opening(&self) -> Header {
        Header { signal: self.begins, tuple: self.tuple, detail: Detail::default() }
    }

    /// The packet that answered the first packet, if any.
    #[must_use]
    pub fn reply(&self) -> Option<Header> {
        let signal = match self.begins {
            Signal::Syn => Signal::SynAck,
            Signal::Udp => Signal::Udp,
            Signal::Echo => Signal::EchoReply,
            _ => return None,
        };
        self.answered.then(|| Header { signal, tuple: reversed(self.tuple), detail: Detail::default() })
    }
}

/// The tuple of the opposite direction.
#[must_use]
pub(crate) const fn reversed(tuple: Tuple) -> Tuple {
    let Tuple { src, dst, src_port, dst_port } = tuple;
    Tuple { src: dst, dst: src, src_port: dst_port, dst_port: src_port }
}

/// The header of a packet of a half, with the known fields.
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
