//! The link-layer header of a frame, by the registry of link types.

use sensor_common::{GiveUp, Link};

/// A number in the registry of link types of tcpdump.org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

/// How to read a link type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The parser reads the whole frame.
    Plain(Link),
    /// An IPv4 packet without a link-layer header.
    Ipv4,
    /// An IPv6 packet without a link-layer header.
    Ipv6,
    /// PPP, with or without an HDLC address.
    Ppp,
    /// PPPoE without the preceding Ethernet header.
    PppEther,
}

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

impl LinkType {
    /// Framing of the link type; `None` if the link type is not supported.
    #[must_use]
    pub const fn framing(self) -> Option<Framing> {
        Some(match self.0 {
            0 | 108 => Framing::Plain(Link::Null),
            1 => Framing::Plain(Link::Ethernet),
            9 | 50 => Framing::Ppp,
            // BSD systems write 12 and 14 for raw IP.
            12 | 14 | 101 => Framing::Plain(Link::Raw),
            51 => Framing::PppEther,
            113 => Framing::Plain(Link::Sll),
            228 => Framing::Ipv4,
            229 => Framing::Ipv6,
            276 => Framing::Plain(Link::Sll2),
            _ => return None,
        })
    }
}

impl Framing {
    /// The part of `frame` for the parser, the link layer of this part, and the names of the layers before this part.
    /// The names are `None` if the parser reports the layers itself.
    ///
    /// # Errors
    /// The frame is not IPv6, or is cut short.
    pub fn strip(self, frame: &[u8]) -> Result<(&[u8], Link, Option<&'static str>), GiveUp> {
        let version = |version| match frame.first() {
            Some(first) => Ok(first >> 4 == version),
            None => Err(GiveUp::Truncated),
        };
        match self {
            Framing::Plain(link) => Ok((frame, link, None)),
            Framing::Ipv4 if !version(4)? => Err(GiveUp::NotIpv6),
            Framing::Ipv6 if !version(6)? => Err(GiveUp::BadVersion),
            Framing::Ipv4 | Framing::Ipv6 => Ok((frame, Link::Raw, None)),
            Framing::Ppp => Ok((ppp(frame)?, Link::Raw, Some("ppp"))),
            Framing::PppEther => match frame {
                [0x11, 0, _, _, _, _, rest @ ..] => Ok((ppp(rest)?, Link::Raw, Some("pppoes/ppp"))),
                [_, _, _, _, _, _, ..] => Err(GiveUp::NotIpv6),
                _ => Err(GiveUp::Truncated),
            },
        }
    }
}

/// The IP packet after a PPP header (RFC 1661, RFC 1662).
fn ppp(frame: &[u8]) -> Result<&[u8], GiveUp> {
    let frame = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
    let (protocol, rest) = match frame {
        // With a compressed protocol field, the first byte is odd and there is no second byte.
        [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(GiveUp::Truncated),
    };
    match protocol {
        PPP_IPV4 | PPP_IPV6 => Ok(rest),
        _ => Err(GiveUp::NotIpv6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::CapturedFrame;
    use crate::capture::trace::Traced;

    /// A frame with these bytes before an echo request.
    fn behind(before: &[u8]) -> Vec<u8> {
        let mut bytes = before.to_vec();
        bytes.extend([0x60, 0, 0, 0, 0, 8, 58, 64]);
        bytes.extend([0x20; 32]);
        bytes.extend([128, 0, 0, 0, 0, 1, 0, 1]);
        bytes
    }

    fn traced(link_type: u16, bytes: &[u8]) -> (Result<u16, GiveUp>, String, bool) {
        let traced = Traced::new(&CapturedFrame { number: 1, nanos: 0, link_type: LinkType(link_type), bytes });
        (traced.parsed.map(|header| header.detail.icmp_seq), traced.trace.link(), traced.is_ipv6())
    }

    #[test]
    fn every_link_type_is_read_and_names_its_layers() {
        let ipv4 = [0x45, 0, 0, 68, 0, 0, 0, 0, 64, 41, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2];
        for (link_type, before, name) in [
            (0, &[30, 0, 0, 0][..], "null"),
            (1, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd], "eth"),
            (9, &[0xff, 0x03, 0x00, 0x57], "ppp"),
            (9, &[0x57], "ppp"),
            (12, &[], "raw"),
            (14, &[], "raw"),
            (50, &[0x00, 0x57], "ppp"),
            (51, &[0x11, 0, 0, 1, 0, 50, 0x00, 0x57], "pppoes/ppp"),
            (101, &[], "raw"),
            (108, &[0, 0, 0, 24], "null"),
            (113, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd], "sll"),
            (228, &ipv4, "raw/ip"),
            (229, &[], "raw"),
            (276, &[0x86, 0xdd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "sll"),
        ] {
            assert_eq!(traced(link_type, &behind(before)), (Ok(1), name.into(), true), "link type {link_type}");
        }
        assert_eq!(traced(51, &behind(&[&[0x11, 0, 0, 1, 0, 70, 0x00, 0x21][..], &ipv4].concat())).1, "pppoes/ppp/ip");
    }

    #[test]
    fn packets_that_contradict_the_link_type_are_refused() {
        let packet = behind(&[]);
        assert_eq!(traced(228, &packet), (Err(GiveUp::NotIpv6), String::new(), false));
        let other = [&[0x40], &packet[1..]].concat();
        assert_eq!(traced(229, &other), (Err(GiveUp::BadVersion), "raw".into(), true));
        assert_eq!(traced(9, &behind(&[0xc0, 0x21])).0, Err(GiveUp::NotIpv6));
        assert_eq!(traced(51, &behind(&[0x11, 9, 0, 0, 0, 50, 0, 0x57])).0, Err(GiveUp::NotIpv6));
        assert_eq!(traced(105, &packet), (Err(GiveUp::UnknownLink), String::new(), false));
        for link_type in [9, 51, 228, 229] {
            assert_eq!(traced(link_type, &[]).0, Err(GiveUp::Truncated), "link type {link_type}");
        }
    }

    #[test]
    fn a_packet_is_ipv6_if_the_link_layer_says_so() {
        let cut = |length| traced(1, &behind(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd])[..length]);
        assert_eq!(cut(13), (Err(GiveUp::Truncated), "eth".into(), false));
        assert_eq!(cut(14 + 39), (Err(GiveUp::Truncated), "eth".into(), true));
    }
}
