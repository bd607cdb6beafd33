//! What drivers tell by generic netlink: XDP modes and offloads. Blocking; reads only.

use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};

/// linux/netlink.h
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLA_F_NESTED: u16 = 1 << 15;
/// The length, type, flags, sequence and port of a message, and the command of a generic one.
const HEADERS: usize = 20;
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
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = Vec::with_capacity(HEADERS + attributes.len());
    request.extend(((HEADERS + attributes.len()) as u32).to_ne_bytes());
    request.extend(family.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // Sequence and port: one question on a socket of its own.
    request.extend([command, 1, 0, 0]);
    request.extend(attributes);
    socket.send(&request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    if kind == Some(NLMSG_ERROR) {
        let code = answer.get(16..20).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
    }
    answer.get(HEADERS..).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The attributes in order; ends where one does not fit.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & !NLA_F_NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(found, _)| found == kind).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written_and_damaged_ones_end_it() {
        let mut bytes = attribute(1, b"abc");
        bytes.extend(attribute(7 | NLA_F_NESTED, &attribute(2, &[9])));
        assert_eq!(find(&bytes, 1), Some(&b"abc"[..]));
        assert_eq!(find(find(&bytes, 7).unwrap(), 2), Some(&[9][..]));
        for cut in 0..bytes.len() {
            let _ = attributes(&bytes[..cut]).count();
        }
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0]).count(), 0, "a length below that of its own header");
    }

    #[test]
    fn loopback_has_offloads_and_a_device_that_is_not_there_is_an_error() {
        assert!(offloads(1).unwrap().contains(&"loopback".to_owned()));
        assert!(offloads(u32::MAX / 2).is_err());
    }
}
