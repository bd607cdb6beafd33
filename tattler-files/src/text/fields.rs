//! Parses the fields of a line without an allocation: words, columns, numbers and addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use sensor_common::Proto;
use sensor_common::parse::Address;

/// An address of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ip {
    /// An IPv4 address, which is ignored.
    V4,
    /// An IPv6 address.
    V6(Address),
}

/// The most columns that are read from a line. A conn.log has about 25 columns.
pub(super) const MOST_COLUMNS: usize = 64;

/// The words between blanks and tabs.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// The trimmed columns of a line, and the number of columns.
pub(super) fn columns(line: &[u8], separator: u8) -> ([&[u8]; MOST_COLUMNS], usize) {
    let mut columns = [&b""[..]; MOST_COLUMNS];
    let mut count = 0;
    for (text, column) in line.split(|&byte| byte == separator).zip(&mut columns) {
        *column = text.trim_ascii();
        count += 1;
    }
    (columns, count)
}

/// The first bytes of untrusted input, escaped.
pub(super) fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    let short: String = text.chars().take(40).collect();
    format!("{short:?}{}", if short.len() < bytes.len() { "…" } else { "" })
}

/// The reason why a field can't be read.
pub(super) fn wrong(name: &str, value: &[u8]) -> String {
    format!("{name} is {}", quote(value))
}

/// The address in the field called `name`.
pub(super) fn ip(name: &str, value: &[u8]) -> Result<Ip, String> {
    address(value).ok_or_else(|| wrong(name, value))
}

/// Reads a protocol name or number.
pub(super) fn proto(value: &[u8]) -> Option<Proto> {
    match value {
        b"TCP" | b"tcp" | b"6" => Some(Proto::Tcp),
        b"UDP" | b"udp" | b"17" => Some(Proto::Udp),
        b"ICMPv6" | b"icmpv6" | b"ICMP6" | b"IPv6-ICMP" | b"58" => Some(Proto::Icmpv6),
        _ => None,
    }
}

/// Reads a number that consists of digits only.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 19 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Reads a number of at most 16 bits.
pub(super) fn port(bytes: &[u8]) -> Option<u16> {
    decimal(bytes).and_then(|number| number.try_into().ok())
}

/// Reads seconds, with or without a fraction, in microseconds. Digits after the sixth are cut off.
pub(super) fn micros(bytes: &[u8]) -> Option<i64> {
    let mut parts = bytes.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().map_or(Some(0), fraction)?;
    seconds.checked_mul(1_000_000)?.checked_add(fraction)
}

/// Reads the digits of a fraction of a second, in microseconds.
pub(super) fn fraction(digits: &[u8]) -> Option<i64> {
    let mut micros = 0;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    for place in 0..6 {
        micros = micros * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    Some(micros)
}

/// Reads an address of either family.
pub(super) fn address(bytes: &[u8]) -> Option<Ip> {
    if let Some(address) = full_address(bytes) {
        return Some(Ip::V6(address));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if bytes.contains(&b':') {
        text.parse::<Ipv6Addr>().ok().map(|address| Ip::V6(address.octets()))
    } else {
        text.parse::<Ipv4Addr>().ok().map(|_| Ip::V4)
    }
}

/// Reads an address of eight groups of four digits. The kernel logs all addresses in this form.
fn full_address(bytes: &[u8]) -> Option<Address> {
    let bytes: &[u8; 39] = bytes.try_into().ok()?;
    let mut address = [0; 16];
    for (group, to) in address.chunks_exact_mut(2).enumerate() {
        let at = group * 5;
        if group > 0 && bytes[at - 1] != b':' {
            return None;
        }
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        to[0] = digit(bytes[at])? << 4 | digit(bytes[at + 1])?;
        to[1] = digit(bytes[at + 2])? << 4 | digit(bytes[at + 3])?;
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_bounded() {
        assert_eq!(decimal(b"0042"), Some(42));
        assert_eq!(decimal(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for wrong in [&b""[..], b"-1", b"1 ", b"0x10", b"99999999999999999999"] {
            assert_eq!(decimal(wrong), None);
        }
        assert_eq!(port(b"65535"), Some(65_535));
        assert_eq!(port(b"65536"), None);
        assert_eq!(micros(b"12.5"), Some(12_500_000));
        assert_eq!(micros(b"12.123456789"), Some(12_123_456));
        assert_eq!(micros(b"12"), Some(12_000_000));
        assert_eq!(micros(b"12."), None);
        assert_eq!(micros(b"9999999999999999.1"), None);
    }

    #[test]
    fn full_and_short_addresses_are_read() {
        let expected = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(address(b"2001:0db8:0000:0000:0000:0000:0000:0001"), Some(Ip::V6(expected)));
        assert_eq!(address(b"2001:DB8::1"), Some(Ip::V6(expected)));
        assert_eq!(address(b"192.0.2.1"), Some(Ip::V4));
        for wrong in
            [&b"2001:0db8:0000:0000:0000:0000:0000:000g"[..], b"2001:0db8-0000:0000:0000:0000:0000:0001", b"", b"x"]
        {
            assert_eq!(address(wrong), None);
        }
    }
}
