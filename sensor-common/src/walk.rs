//! Along the extension headers to the upper layer.
//!
//! The walk finds offsets and copies nothing. One loop handles all headers; a nested IPv6 header is one
//! more kind of header. Everything that differs between iterations is hidden from the verifier at the
//! loop's head ([`Packet::forget`]). The counters share one word for that.

use crate::{GiveUp, Layer, Packet};

/// Extension headers that are read, over all nested IPv6 headers together.
pub const MAX_EXTENSIONS: usize = 8;
/// IPv6 headers, the innermost included.
pub const MAX_DEPTH: usize = 3;
/// One for every extension header and every IPv6 header, and one to see the upper layer.
const TURNS: usize = MAX_EXTENSIONS + MAX_DEPTH + 1;

/// Header numbers of IANA's "Assigned Internet Protocol Numbers".
pub mod number {
    /// Hop-by-hop options, RFC 8200.
    pub const HOP_BY_HOP: u8 = 0;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IPv6, RFC 2473.
    pub const IPV6: u8 = 41;
    /// Routing, RFC 8200.
    pub const ROUTING: u8 = 43;
    /// Fragment, RFC 8200.
    pub const FRAGMENT: u8 = 44;
    /// Authentication header, RFC 4302.
    pub const AUTHENTICATION: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// Destination options, RFC 8200.
    pub const DESTINATION: u8 = 60;
    /// Mobility, RFC 6275.
    pub const MOBILITY: u8 = 135;
    /// Host identity protocol, RFC 7401.
    pub const HIP: u8 = 139;
    /// Shim6, RFC 5533.
    pub const SHIM6: u8 = 140;
}

/// Where the innermost IPv6 header and the upper-layer header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// Offset of the innermost IPv6 header, in bytes.
    pub ip: usize,
    /// Offset of the upper-layer header, in bytes.
    pub at: usize,
    /// The upper layer's number.
    pub upper: u8,
}

/// Walks from the IPv6 header at `offset` to the upper layer.
///
/// # Errors
/// When the parser gives up.
#[inline(always)]
pub fn walk<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<Offsets, GiveUp> {
    /// One IPv6 header in the counter word. The bits below count extension headers.
    const DEPTH: usize = 1 << 8;

    let mut next = number::IPV6;
    let mut at = offset;
    let mut ip = offset;
    let mut seen = 0;
    for _ in 0..TURNS {
        at = packet.forget(at);
        ip = packet.forget(ip);
        seen = packet.forget(seen);
        match next {
            number::IPV6 => {
                if seen >> 8 >= MAX_DEPTH {
                    return Err(GiveUp::TooDeep);
                }
                // The whole header must be there.
                let header = packet.read::<40>(at)?;
                if header[0] >> 4 != 6 {
                    return Err(GiveUp::BadVersion);
                }
                packet.enter(Layer::Ipv6(at));
                next = header[6];
                ip = at;
                at += 40;
                seen += DEPTH;
            }
            number::HOP_BY_HOP
            | number::ROUTING
            | number::FRAGMENT
            | number::DESTINATION
            | number::AUTHENTICATION
            | number::MOBILITY
            | number::HIP
            | number::SHIM6 => {
                if seen & 0xff >= MAX_EXTENSIONS {
                    return Err(GiveUp::TooManyHeaders);
                }
                // Each has at least eight bytes.
                let header = packet.read::<8>(at)?;
                packet.enter(Layer::Extension(next));
                let length = usize::from(header[1]);
                at += match next {
                    number::FRAGMENT => {
                        // RFC 8200, 4.5: thirteen bits of offset. First and atomic
                        // fragments have an upper layer.
                        if u16::from_be_bytes([header[2], header[3]]) & 0xfff8 != 0 {
                            return Err(GiveUp::LaterFragment);
                        }
                        8
                    }
                    number::AUTHENTICATION => (length + 2) * 4,
                    _ => (length + 1) * 8,
                };
                next = header[0];
                seen += 1;
            }
            upper => return Ok(Offsets { ip, at, upper }),
        }
    }
    Err(GiveUp::TooManyHeaders)
}
