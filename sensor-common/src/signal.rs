//! The meaning of a packet to the rules.

/// The way in which a packet can matter to the rules: it begins an exchange, probes or answers. All other
/// packets are [`Signal::None`]. Most of the other packets belong to established connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Irrelevant to the rules.
    None = 0,
    /// ICMPv6 echo request, RFC 4443.
    Echo = 1,
    /// TCP with SYN and without ACK, with any other flags.
    Syn = 2,
    /// UDP.
    Udp = 3,
    /// TCP without SYN and with flags that no connection has: no flags at all, or FIN without ACK
    /// (for example an Xmas scan).
    TcpOther = 4,
    /// TCP with SYN and ACK.
    SynAck = 5,
    /// ICMPv6 echo reply.
    EchoReply = 6,
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// The six flags of RFC 793. The two flags of ECN (RFC 3168) say nothing about a connection.
const CLASSIC: u8 = 0x3f;

impl Signal {
    /// Classifies TCP flags.
    #[inline(always)]
    #[must_use]
    pub const fn of_tcp(flags: u8) -> Signal {
        if flags & SYN != 0 {
            if flags & ACK != 0 { Signal::SynAck } else { Signal::Syn }
        } else if flags & ACK == 0 && (flags & FIN != 0 || flags & CLASSIC == 0) {
            Signal::TcpOther
        } else {
            Signal::None
        }
    }

    /// Classifies an ICMPv6 type.
    #[inline(always)]
    #[must_use]
    pub const fn of_icmpv6(kind: u8) -> Signal {
        match kind {
            128 => Signal::Echo,
            129 => Signal::EchoReply,
            _ => Signal::None,
        }
    }

    /// The kind of probe, if a packet with this signal is unsolicited.
    #[inline(always)]
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Signal::Echo => Some(Kind::Echo),
            Signal::Syn => Some(Kind::Syn),
            Signal::Udp => Some(Kind::Udp),
            Signal::TcpOther => Some(Kind::TcpOther),
            Signal::None | Signal::SynAck | Signal::EchoReply => None,
        }
    }

    /// The kind of probe that a packet with this signal answers, if there was a probe.
    #[inline(always)]
    #[must_use]
    pub const fn answers(self) -> Option<Kind> {
        match self {
            Signal::EchoReply => Some(Kind::Echo),
            Signal::SynAck => Some(Kind::Syn),
            Signal::Udp => Some(Kind::Udp),
            _ => None,
        }
    }

    /// The protocol of an outbound packet that begins an exchange or answers a probe.
    #[inline(always)]
    #[must_use]
    pub const fn outbound_proto(self) -> Option<Proto> {
        match self {
            Signal::Echo | Signal::EchoReply => Some(Proto::Icmpv6),
            Signal::Syn | Signal::SynAck => Some(Proto::Tcp),
            Signal::Udp => Some(Proto::Udp),
            Signal::None | Signal::TcpOther => None,
        }
    }

    /// The protocol of the contact that a packet with this signal begins, unless the packet answers a probe.
    #[inline(always)]
    #[must_use]
    pub const fn begins(self) -> Option<Proto> {
        match self {
            Signal::Echo => Some(Proto::Icmpv6),
            Signal::Syn => Some(Proto::Tcp),
            Signal::Udp => Some(Proto::Udp),
            _ => None,
        }
    }
}

macro_rules! names {
    ($type:ident: $($variant:ident = $number:literal, $name:literal;)*) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &[$type] = &[$($type::$variant),*];

            /// The name in JSON, tables and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }

            /// The value with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some($type::$variant),)* _ => None }
            }

            /// The value with this number. Records that cross the kernel boundary contain the number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some($type::$variant),)* _ => None }
            }
        }
    };
}

/// The kind of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// ICMPv6 echo request.
    Echo = 1,
    /// TCP SYN.
    Syn = 2,
    /// UDP.
    Udp = 3,
    /// TCP with impossible flags.
    TcpOther = 4,
}

names! { Kind:
    Echo = 1, "echo";
    Syn = 2, "syn";
    Udp = 3, "udp";
    TcpOther = 4, "tcp-other";
}

impl Kind {
    /// The protocol of probes of this kind.
    #[must_use]
    pub const fn proto(self) -> Proto {
        match self {
            Kind::Echo => Proto::Icmpv6,
            Kind::Udp => Proto::Udp,
            Kind::Syn | Kind::TcpOther => Proto::Tcp,
        }
    }
}

/// The protocol of a contact. The numbers are from IANA's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Proto {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// ICMPv6. The "port" of an ICMPv6 exchange is the echo identifier.
    Icmpv6 = 58,
}

names! { Proto:
    Tcp = 6, "tcp";
    Udp = 17, "udp";
    Icmpv6 = 58, "icmpv6";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_connection_are_no_signal_and_impossible_ones_are_a_probe() {
        for (flags, signal) in [
            (0x10, Signal::None), // ACK
            (0x18, Signal::None), // PSH, ACK
            (0x11, Signal::None), // FIN, ACK
            (0x04, Signal::None), // RST
            (0x14, Signal::None), // RST, ACK
            (0x02, Signal::Syn),
            (0xc2, Signal::Syn), // with ECN
            (0x03, Signal::Syn), // SYN, FIN
            (0x12, Signal::SynAck),
            (0x00, Signal::TcpOther), // null
            (0xc0, Signal::TcpOther), // null but for ECN
            (0x01, Signal::TcpOther), // FIN
            (0x29, Signal::TcpOther), // Xmas
        ] {
            assert_eq!(Signal::of_tcp(flags), signal, "flags {flags:#04x}");
        }
    }

    #[test]
    fn names_and_numbers_lead_back_to_the_value() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
        }
        for &proto in Proto::ALL {
            assert_eq!(Proto::from_name(proto.as_str()), Some(proto));
            assert_eq!(Proto::from_number(proto as u8), Some(proto));
        }
    }
}
