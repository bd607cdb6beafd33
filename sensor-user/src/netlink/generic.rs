//! Asks drivers for XDP modes and offloads by generic netlink. Blocking; reads only.

use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;

use super::message::{self, NLA_F_NESTED, attribute, attributes, find};

/// linux/genetlink.h
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// linux/netdev.h
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_XDP_ACT_BASIC: u64 = 1;
/// linux/ethtool_netlink.h
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;

/// Whether a device's driver takes XDP programs. Linux tells since 6.3.
///
/// # Errors
/// When the kernel does not tell.
pub fn takes_xdp(device: u32) -> io::Result<bool> {
    let netdev = family("netdev")?;
    let answer = ask(netdev, NETDEV_CMD_DEV_GET, &attribute(NETDEV_A_DEV_IFINDEX, &device.to_ne_bytes()))?;
    let features = find(&answer, NETDEV_A_DEV_XDP_FEATURES).and_then(|value| value.try_into().ok());
    let features = u64::from_ne_bytes(features.ok_or(io::ErrorKind::InvalidData)?);
    Ok(features & NETDEV_XDP_ACT_BASIC != 0)
}

/// The offloads that are active on a device, by the kernel's names for them. Since Linux 5.7.
///
/// # Errors
/// When the kernel does not tell.
pub fn offloads(device: u32) -> io::Result<Vec<String>> {
    let ethtool = family("ethtool")?;
    let header = attribute(ETHTOOL_A_HEADER_DEV_INDEX, &device.to_ne_bytes());
    let request = attribute(ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED, &header);
    let answer = ask(ethtool, ETHTOOL_MSG_FEATURES_GET, &request)?;
    let active = find(&answer, ETHTOOL_A_FEATURES_ACTIVE).ok_or(io::ErrorKind::InvalidData)?;
    // A list without a mask: what is named is on.
    let bits = find(active, ETHTOOL_A_BITSET_BITS).unwrap_or_default();
    let name = |bit: &[u8]| {
        let name = find(bit, ETHTOOL_A_BITSET_BIT_NAME)?;
        Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
    };
    Ok(attributes(bits).filter_map(|(_, bit)| name(bit)).collect())
}

/// The number that the kernel gave to a family.
fn family(name: &str) -> io::Result<u16> {
    let name = [name.as_bytes(), b"\0"].concat();
    let answer = ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &attribute(CTRL_ATTR_FAMILY_NAME, &name))?;
    let id = find(&answer, CTRL_ATTR_FAMILY_ID).and_then(|value| value.try_into().ok());
    Ok(u16::from_ne_bytes(id.ok_or(io::ErrorKind::InvalidData)?))
}

/// Sends one request and gives the attributes of its answer.
fn ask(family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let request = [&[command, 1, 0, 0], attributes].concat();
    let answer = message::ask(NETLINK_GENERIC, family, &request)?;
    answer.get(4..).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_offloads_and_a_device_that_is_not_there_is_an_error() {
        assert!(offloads(1).unwrap().contains(&"loopback".to_owned()));
        assert!(offloads(u32::MAX / 2).is_err());
    }
}
