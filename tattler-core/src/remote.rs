//! Remotes in their written form: an address or a prefix.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// Reads an address or a prefix.
///
/// # Errors
/// One line that shows the text and the expected form.
pub fn parse(text: &str) -> Result<Ipv6Net, String> {
    let address = text.parse().map(|address: Ipv6Addr| address.into());
    address.or_else(|_| text.parse()).map_err(|_| format!("{text} is neither an IPv6 address nor a prefix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_an_address_or_a_prefix() {
        assert_eq!(parse("2a05::53").unwrap().to_string(), "2a05::53/128");
        assert_eq!(parse("2a05::/32").unwrap().to_string(), "2a05::/32");
        assert_eq!(parse("example.org").unwrap_err(), "example.org is neither an IPv6 address nor a prefix");
    }
}
