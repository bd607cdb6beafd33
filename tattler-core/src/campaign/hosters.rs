//! How much of a prefix one customer has: strangers share a /64 at some hosters.
//!
//! Of 882 /64s that hold known scanners 20 were shared by at least two operators, all of them at
//! hosters that hand out single addresses or /124s; at /124 none was (public-domain list, June 2026).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::catalogue::dense_hoster;

/// The length of the prefix that one customer has, as far as the catalogue knows.
#[must_use]
pub fn customer_prefix(source: Ipv6Addr) -> u8 {
    dense_hoster(source).and_then(|entry| entry.customer).unwrap_or(64)
}

/// The prefix that the customer with this address has.
#[must_use]
pub fn customer(source: Ipv6Addr) -> Ipv6Net {
    prefix(source, customer_prefix(source))
}

/// The prefix of a length, at most 128, that holds an address.
#[must_use]
pub fn prefix(address: Ipv6Addr, length: u8) -> Ipv6Net {
    Ipv6Net::new(address, length).unwrap_or_default().trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_of_dense_hosters_have_less_than_a_64() {
        let of = |address: &str| customer(address.parse().unwrap()).to_string();
        assert_eq!(of("2a03:b0c0:3:d0::18:b001"), "2a03:b0c0:3:d0::18:b000/124");
        assert_eq!(of("2001:41d0:304:200::2b1f"), "2001:41d0:304:200::2b1f/128");
        assert_eq!(of("2a0d:5600::29"), "2a0d:5600::/64");
        // What was Shodan's in 2016 is DigitalOcean's all the same.
        assert_eq!(of("2604:a880:800:10::1a:1"), "2604:a880:800:10::1a:0/124");
    }
}
