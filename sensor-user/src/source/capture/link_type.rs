//! What a frame begins with, by the registry of link types.

use std::fmt;

use sensor_common::{GiveUp, Link};

/// A number of the registry that tcpdump.org keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A link type that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The parser reads it as it is.
    Plain(Link),
    /// An IPv4 header and nothing else.
    Ipv4,
    /// An IPv6 header and nothing else.
    Ipv6,
    /// PPP, with or without an HDLC address.
    Ppp,
    /// PPPoE behind the Ethernet header.
    PppEther,
}

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

impl LinkType {
    /// How to read it; `None` where nobody knows.
    #[must_use]
    pub const fn framing(self) -> Option<Framing> {
        Some(match self.0 {
            0 | 108 => Framing::Plain(Link::Null),
            1 => Framing::Plain(Link::Ethernet),
            9 | 50 => Framing::Ppp,
            // 12 and 14 are what BSDs write for raw IP.
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
    /// What the parser is to read of `frame`, and the name of the layers before that; `None` where
    /// the parser names them.
    ///
    /// # Errors
    /// What is not IPv6, or cut short.
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

/// What is behind a PPP header (RFC 1661, RFC 1662): an IP header.
fn ppp(frame: &[u8]) -> Result<&[u8], GiveUp> {
    let frame = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
    let (protocol, rest) = match frame {
        // A compressed protocol field: the first byte is odd, and there is no second.
        [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(GiveUp::Truncated),
    };
    match protocol {
        PPP_IPV4 | PPP_IPV6 => Ok(rest),
        _ => Err(GiveUp::NotIpv6),
    }
}
