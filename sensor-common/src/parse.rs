//! From the first byte to the meaning of a packet.
//!
//! Three steps, of which most packets need only the first: [`find`] the upper layer and its [`Signal`],
//! read the [`Tuple`] for the rules, and read the [`Detail`] for an event. [`parse`] is all three.

use crate::walk::{Offsets, number, walk};
use crate::{GiveUp, Layer, Link, Packet, Signal, link};

/// An IPv6 address, as on the wire.
pub type Address = [u8; 16];

/// The signal of a packet, and the place of its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where its headers are.
    pub place: Offsets,
    /// Its signal.
    pub signal: Signal,
}

/// Addresses and ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuple {
    /// Source address of the innermost IPv6 header.
    pub src: Address,
    /// Destination address of the innermost IPv6 header; with a routing header, the next stop.
    pub dst: Address,
    /// Source port; the echo identifier for ICMPv6 echo.
    pub src_port: u16,
    /// Destination port; the echo identifier for ICMPv6 echo.
    pub dst_port: u16,
}

/// Other fields of a packet: traits that distinguish scanners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Hop limit of the innermost IPv6 header.
    pub hop_limit: u8,
    /// Flow label of the innermost IPv6 header, 20 bits.
    pub flow_label: u32,
    /// Bytes after the upper-layer header, by the innermost payload length.
    pub payload_len: u16,
    /// The eight TCP flags, 0 for others.
    pub tcp_flags: u8,
    /// The TCP window as sent, 0 for others.
    pub window: u16,
    /// The echo identifier, 0 for others.
    pub icmp_id: u16,
    /// The echo sequence number, 0 for others.
    pub icmp_seq: u16,
}

/// The result of the parser for one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its signal.
    pub signal: Signal,
    /// Addresses and ports. Ports are 0 if there is no signal.
    pub tuple: Tuple,
    /// Other fields.
    pub detail: Detail,
}

const ETHERNET: usize = 14;
const IPV6: usize = 40;

/// Finds the upper layer and its signal.
///
/// # Errors
/// When the parser gives up.
#[inline(always)]
pub fn find<P: Packet + ?Sized>(packet: &P, link: Link) -> Result<Found, GiveUp> {
    if let Some(found) = established(packet, link) {
        return Ok(found);
    }
    let place = walk(packet, link::to_ipv6(packet, link)?)?;
    let signal = signal(packet, &place)?;
    Ok(Found { place, signal })
}

/// Recognises a segment of an established TCP connection right after the link layer: nearly all
/// packets of a router. It has no signal, and a few instructions find that out.
#[inline(always)]
fn established<P: Packet + ?Sized>(packet: &P, link: Link) -> Option<Found> {
    let ip = match link {
        Link::Ethernet => ETHERNET,
        Link::Raw => 0,
        Link::Sll | Link::Sll2 | Link::Null => return None,
    };
    if link == Link::Ethernet {
        let [high, low, _, _] = packet.read::<4>(12).ok()?;
        if [high, low] != [0x86, 0xdd] {
            return None;
        }
    }
    let head = packet.read::<8>(ip).ok()?;
    if head[0] >> 4 != 6 || head[6] != number::TCP {
        return None;
    }
    let at = ip + IPV6;
    let [_, flags, _, _] = packet.read::<4>(at + 12).ok()?;
    if Signal::of_tcp(flags) != Signal::None {
        return None;
    }
    packet.enter(Layer::Link(if ip == 0 { "raw" } else { "eth" }));
    packet.enter(Layer::Ipv6(ip));
    let place = Offsets { ip, at, upper: number::TCP };
    Some(Found { place, signal: Signal::None })
}

/// The signal of the upper layer.
#[inline(always)]
fn signal<P: Packet + ?Sized>(packet: &P, place: &Offsets) -> Result<Signal, GiveUp> {
    let (signal, length) = match place.upper {
        number::TCP => (Signal::of_tcp(packet.read::<16>(place.at)?[13]), 20),
        number::UDP => {
            packet.read::<8>(place.at)?;
            (Signal::Udp, 8)
        }
        number::ICMPV6 => (Signal::of_icmpv6(packet.read::<4>(place.at)?[0]), 8),
        _ => return Ok(Signal::None),
    };
    if signal == Signal::None {
        return Ok(signal);
    }
    // Ethernet pads short frames: bytes beyond the payload length are no header. A length of 0
    // with hop-by-hop options is a jumbogram (RFC 2675), whose length is in an option.
    let head = packet.read::<8>(place.ip)?;
    let payload = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let jumbo = payload == 0 && head[6] == number::HOP_BY_HOP;
    if place.at + length > place.ip + IPV6 + payload && !jumbo {
        return Err(GiveUp::BadLength);
    }
    Ok(signal)
}

/// Reads addresses and ports.
///
/// # Errors
/// [`GiveUp::Truncated`] or [`GiveUp::Far`].
#[inline(always)]
pub fn tuple<P: Packet + ?Sized>(packet: &P, found: &Found) -> Result<Tuple, GiveUp> {
    let src = packet.read::<16>(found.place.ip + 8)?;
    let dst = packet.read::<16>(found.place.ip + 24)?;
    let (src_port, dst_port) = match found.signal {
        Signal::None => (0, 0),
        Signal::Echo | Signal::EchoReply => {
            let [high, low, ..] = packet.read::<4>(found.place.at + 4)?;
            let id = u16::from_be_bytes([high, low]);
            (id, id)
        }
        Signal::Syn | Signal::SynAck | Signal::TcpOther | Signal::Udp => {
            let [a, b, c, d] = packet.read::<4>(found.place.at)?;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        }
    };
    Ok(Tuple { src, dst, src_port, dst_port })
}

/// Reads what else an event carries.
///
/// # Errors
/// [`GiveUp::Truncated`] or [`GiveUp::Far`].
#[inline(always)]
pub fn detail<P: Packet + ?Sized>(packet: &P, found: &Found) -> Result<Detail, GiveUp> {
    let Offsets { ip, at, .. } = found.place;
    let head = packet.read::<8>(ip)?;
    let payload = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let mut detail = Detail {
        hop_limit: head[7],
        flow_label: u32::from_be_bytes([0, head[1] & 0x0f, head[2], head[3]]),
        ..Detail::default()
    };
    let upper = match found.signal {
        Signal::None => return Ok(detail),
        Signal::Echo | Signal::EchoReply => {
            let [a, b, c, d] = packet.read::<4>(at + 4)?;
            detail.icmp_id = u16::from_be_bytes([a, b]);
            detail.icmp_seq = u16::from_be_bytes([c, d]);
            8
        }
        Signal::Udp => 8,
        Signal::Syn | Signal::SynAck | Signal::TcpOther => {
            let [offset, flags, high, low] = packet.read::<4>(at + 12)?;
            detail.tcp_flags = flags;
            detail.window = u16::from_be_bytes([high, low]);
            usize::from(offset >> 4) * 4
        }
    };
    detail.payload_len = (ip + IPV6 + payload).saturating_sub(at + upper) as u16;
    Ok(detail)
}

/// Does all three steps.
///
/// # Errors
/// When the parser gives up.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P, link: Link) -> Result<Header, GiveUp> {
    let found = find(packet, link)?;
    Ok(Header { signal: found.signal, tuple: tuple(packet, &found)?, detail: detail(packet, &found)? })
}
