//! Captures for tests.

use std::net::Ipv6Addr;

/// A capture of SYNs, with link type raw IP. Each SYN: seconds since 1970, source, destination, destination port.
pub fn pcap(syns: impl IntoIterator<Item = (u64, Ipv6Addr, Ipv6Addr, u16)>) -> Vec<u8> {
    let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    bytes.extend([0; 16]);
    bytes.extend(101_u32.to_le_bytes());
    for (second, source, destination, port) in syns {
        for number in [second as u32, 0, 60, 60] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0x60, 0, 0, 0, 0, 20, 6, 64]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.extend([0x9c, 0x40]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0xfa, 0xf0, 0, 0, 0, 0]);
    }
    bytes
}
