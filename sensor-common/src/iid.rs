//! Classes of interface identifiers, the last 64 bits of an address.
//!
//! The conditions and their order are the same as in `addr6` of Fernando Gont's ipv6toolkit 2.0, so that
//! figures are comparable. A test runs this module and `addr6` on the same addresses. RFC 7707 explains why
//! identifiers of all classes except [`IidClass::Random`] can be guessed.

use crate::parse::Address;

/// The class of an interface identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IidClass {
    /// Made from a MAC address (RFC 4291, appendix A).
    Eui64,
    /// ISATAP (RFC 5214).
    Isatap,
    /// Contains a service port, as in `::443` or `::1:25`, in hexadecimal or decimal notation.
    EmbeddedPort,
    /// Contains an IPv4 address, in 32 bits or spread over the four words.
    EmbeddedIpv4,
    /// Zero except for the low bytes.
    LowByte,
    /// Three zero bytes or more.
    Pattern,
    /// Any other identifier. It can't be guessed.
    Random,
}

/// Ports that `addr6` looks for, read as decimal numbers.
const PORTS: [u16; 23] =
    [21, 22, 23, 25, 49, 53, 80, 110, 123, 179, 220, 389, 443, 547, 993, 995, 1194, 3306, 5060, 5061, 5432, 6446, 8080];
/// The same ports, with their decimal digits read as a hexadecimal number.
const PORTS_WRITTEN: [u16; 23] = [
    0x21, 0x22, 0x23, 0x25, 0x49, 0x53, 0x80, 0x110, 0x123, 0x179, 0x220, 0x389, 0x443, 0x547, 0x993, 0x995, 0x1194,
    0x3306, 0x5060, 0x5061, 0x5432, 0x6446, 0x8080,
];

impl IidClass {
    /// Every class.
    pub const ALL: [IidClass; 7] = [
        IidClass::Eui64,
        IidClass::Isatap,
        IidClass::EmbeddedPort,
        IidClass::EmbeddedIpv4,
        IidClass::LowByte,
        IidClass::Pattern,
        IidClass::Random,
    ];

    /// Classifies the interface identifier of `address`.
    #[must_use]
    pub fn of(address: &Address) -> IidClass {
        let [_, _, _, _, _, _, _, _, iid @ ..] = address;
        let high = u32::from_be_bytes([iid[0], iid[1], iid[2], iid[3]]);
        let low = u32::from_be_bytes([iid[4], iid[5], iid[6], iid[7]]);
        let words = [high >> 16, high & 0xffff, low >> 16, low & 0xffff];
        let is_port = |word: u32| u16::try_from(word).is_ok_and(|p| PORTS.contains(&p) || PORTS_WRITTEN.contains(&p));

        if high & 0x0200_00ff == 0x0200_00ff && low >> 24 == 0xfe {
            IidClass::Eui64
        } else if high & 0xfdff_ffff == 0x0000_5efe {
            IidClass::Isatap
        } else if high == 0 && low >> 24 != 0 && words[3] != 0 {
            IidClass::EmbeddedIpv4
        } else if high == 0 && (words[2] <= 255 && is_port(words[3]) || words[3] <= 255 && is_port(words[2])) {
            IidClass::EmbeddedPort
        } else if high == 0 && low >> 24 == 0 && words[3] != 0 {
            IidClass::LowByte
        } else if words.iter().all(|&word| word <= 0x255) {
            // `addr6` compares with 0x255: the digits of each word are read as a decimal octet.
            IidClass::EmbeddedIpv4
        } else if iid.iter().filter(|&&byte| byte == 0).count() > 2 {
            IidClass::Pattern
        } else {
            IidClass::Random
        }
    }

    /// The name in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            IidClass::Eui64 => "eui64",
            IidClass::Isatap => "isatap",
            IidClass::EmbeddedPort => "embedded-port",
            IidClass::EmbeddedIpv4 => "embedded-ipv4",
            IidClass::LowByte => "low-byte",
            IidClass::Pattern => "pattern",
            IidClass::Random => "random",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;

    fn class(address: &str) -> IidClass {
        IidClass::of(&address.parse::<Ipv6Addr>().unwrap().octets())
    }

    #[test]
    fn identifiers_are_classified_as_addr6_does() {
        for (address, expected) in [
            ("2001:db8::211:22ff:fe33:4455", IidClass::Eui64),
            ("2001:db8::5efe:c000:201", IidClass::Isatap),
            ("2001:db8::200:5efe:c000:201", IidClass::Isatap),
            ("2001:db8::443", IidClass::EmbeddedPort),
            ("2001:db8::1:1bb", IidClass::EmbeddedPort),
            ("2001:db8::80:1", IidClass::EmbeddedPort),
            ("2001:db8::ff:443", IidClass::EmbeddedPort),
            ("2001:db8::100:443", IidClass::EmbeddedIpv4),
            ("2001:db8::443:1", IidClass::EmbeddedIpv4), // its 32 bits read as 4.67.0.1
            ("2001:db8::c000:201", IidClass::EmbeddedIpv4),
            ("2001:db8::192:0:2:1", IidClass::EmbeddedIpv4),
            ("2001:db8::1", IidClass::LowByte),
            ("2001:db8::12:3456", IidClass::LowByte),
            ("2001:db8::dead:0:0:1", IidClass::Pattern),
            ("2001:db8::e014:9aff:5e49:ecb3", IidClass::Random),
        ] {
            assert_eq!(class(address), expected, "{address}");
        }
    }
}
