//! From the link layer to the IPv6 header.

use crate::{GiveUp, Layer, Packet};

/// The link layer of a packet. The agent takes it from the device type, a capture from its link
/// type. It is never guessed from the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Link {
    /// Ethernet II, with up to two VLAN tags and PPPoE sessions.
    Ethernet = 1,
    /// No link layer: tun, WireGuard, PPP and 6in4 devices; LINKTYPE_RAW and LINKTYPE_IPV6.
    Raw = 2,
    /// Linux cooked capture, LINKTYPE_LINUX_SLL. Captures only.
    Sll = 3,
    /// Linux cooked capture v2, LINKTYPE_LINUX_SLL2. Captures only.
    Sll2 = 4,
    /// BSD loopback, LINKTYPE_NULL and LINKTYPE_LOOP: an address family of four bytes in the
    /// byte order of the machine that captured. Captures only.
    Null = 5,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and the number that was in use before 802.1ad.
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const PPPOE_SESSION: u16 = 0x8864;
/// PPP protocol numbers, RFC 5072 and RFC 1332.
const PPP_IPV6: u16 = 0x0057;
const PPP_IPV4: u16 = 0x0021;
/// IPv6 encapsulated in IPv4, RFC 4213.
const PROTOCOL_IPV6: u8 = 41;
/// AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD and of Darwin.
const FAMILY_INET6: [u32; 4] = [10, 24, 28, 30];
const FAMILY_INET: u32 = 2;

/// Finds the outermost IPv6 header: its offset in bytes.
///
/// # Errors
/// [`GiveUp::NotIpv6`] where there is none, else the reason to stop.
#[inline(always)]
pub fn to_ipv6<P: Packet + ?Sized>(packet: &P, link: Link) -> Result<usize, GiveUp> {
    match link {
        Link::Ethernet => ethernet(packet),
        Link::Raw => raw(packet),
        Link::Sll => {
            packet.enter(Layer::Link("sll"));
            let [.., high, low] = packet.read::<16>(0)?;
            ether_type(packet, u16::from_be_bytes([high, low]), 16)
        }
        Link::Sll2 => {
            packet.enter(Layer::Link("sll"));
            let [high, low, ..] = packet.read::<20>(0)?;
            ether_type(packet, u16::from_be_bytes([high, low]), 20)
        }
        Link::Null => null(packet),
    }
}

#[inline(always)]
fn ethernet<P: Packet + ?Sized>(packet: &P) -> Result<usize, GiveUp> {
    packet.enter(Layer::Link("eth"));
    let [.., high, low] = packet.read::<14>(0)?;
    ether_type(packet, u16::from_be_bytes([high, low]), 14)
}

/// Continues after an EtherType: tags, PPPoE, IPv6, or IPv6 in IPv4.
#[inline(always)]
fn ether_type<P: Packet + ?Sized>(packet: &P, mut ether_type: u16, mut offset: usize) -> Result<usize, GiveUp> {
    for _ in 0..2 {
        if !VLAN.contains(&ether_type) {
            break;
        }
        packet.enter(Layer::Link("vlan"));
        let [_, _, high, low] = packet.read::<4>(offset)?;
        ether_type = u16::from_be_bytes([high, low]);
        offset += 4;
    }
    match ether_type {
        IPV6 => Ok(offset),
        IPV4 => ipv4(packet, offset),
        PPPOE_SESSION => {
            // RFC 2516: version and type 1, code 0, session, length; then the PPP protocol.
            let [version_type, code, _, _, _, _, high, low] = packet.read::<8>(offset)?;
            if version_type != 0x11 || code != 0 {
                return Err(GiveUp::NotIpv6);
            }
            packet.enter(Layer::Link("pppoes"));
            packet.enter(Layer::Link("ppp"));
            match u16::from_be_bytes([high, low]) {
                PPP_IPV6 => Ok(offset + 8),
                PPP_IPV4 => ipv4(packet, offset + 8),
                _ => Err(GiveUp::NotIpv6),
            }
        }
        tag if VLAN.contains(&tag) => Err(GiveUp::TooManyTags),
        _ => Err(GiveUp::NotIpv6),
    }
}

#[inline(always)]
fn raw<P: Packet + ?Sized>(packet: &P) -> Result<usize, GiveUp> {
    packet.enter(Layer::Link("raw"));
    // The shortest IP header; a single byte must not be read, see `Packet` in sensor-ebpf.
    let [first, ..] = packet.read::<20>(0)?;
    match first >> 4 {
        6 => Ok(0),
        // The kernel's sit device showed the outer header up to 5.10.
        4 => ipv4(packet, 0),
        _ => Err(GiveUp::NotIpv6),
    }
}

#[inline(always)]
fn null<P: Packet + ?Sized>(packet: &P) -> Result<usize, GiveUp> {
    packet.enter(Layer::Link("null"));
    let bytes = packet.read::<4>(0)?;
    let (little, big) = (u32::from_le_bytes(bytes), u32::from_be_bytes(bytes));
    if FAMILY_INET6.contains(&little) || FAMILY_INET6.contains(&big) {
        Ok(4)
    } else if little == FAMILY_INET || big == FAMILY_INET {
        ipv4(packet, 4)
    } else {
        Err(GiveUp::NotIpv6)
    }
}

/// IPv6 in IPv4 (6in4), with options in the IPv4 header or without.
#[inline(always)]
fn ipv4<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<usize, GiveUp> {
    let header = packet.read::<20>(offset)?;
    let length = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || length < 20 || header[9] != PROTOCOL_IPV6 {
        return Err(GiveUp::NotIpv6);
    }
    if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return Err(GiveUp::LaterFragment);
    }
    packet.enter(Layer::Link("ip"));
    Ok(offset + length)
}
