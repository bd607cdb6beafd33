//! Blocking netlink requests: XDP modes and offloads of drivers, and the program of a TC filter. They only read.

use std::io;

use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::packet_core::{
    DefaultNla, Emitable, NLA_F_NESTED, NLM_F_REQUEST, NLMSG_ERROR, NlasIterator, parse_i32, parse_u16, parse_u32,
    parse_u64,
};

/// The size of struct nlmsghdr: length, type, flags, sequence and port.
const HEADER: usize = 16;
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
/// linux/rtnetlink.h, and the size of struct tcmsg: family, device, handle, parent, priority and protocol.
const RTM_GETTFILTER: u16 = 46;
const TCA_OPTIONS: u16 = 2;
const TCMSG: usize = 20;
/// linux/pkt_cls.h
const TCA_BPF_ID: u16 = 11;
/// linux/if_ether.h, in network order.
const ETH_P_ALL: u16 = 3u16.to_be();
/// linux/pkt_sched.h: the two hooks of a clsact qdisc.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// Whether the driver of a device supports XDP programs. Needs Linux 6.3.
///
/// # Errors
/// The kernel does not answer.
pub fn takes_xdp(device: u32) -> io::Result<bool> {
    let netdev = family("netdev")?;
    let answer = ask_generic(netdev, NETDEV_CMD_DEV_GET, &attribute(NETDEV_A_DEV_IFINDEX, &device.to_ne_bytes()))?;
    let features = parse_u64(find(&answer, NETDEV_A_DEV_XDP_FEATURES).unwrap_or_default());
    Ok(features.map_err(io::Error::other)? & NETDEV_XDP_ACT_BASIC != 0)
}

/// The kernel's names of the active offloads of a device. Needs Linux 5.7.
///
/// # Errors
/// The kernel does not answer.
pub fn offloads(device: u32) -> io::Result<Vec<String>> {
    let ethtool = family("ethtool")?;
    let header = attribute(ETHTOOL_A_HEADER_DEV_INDEX, &device.to_ne_bytes());
    let request = attribute(ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED, &header);
    let answer = ask_generic(ethtool, ETHTOOL_MSG_FEATURES_GET, &request)?;
    let active = find(&answer, ETHTOOL_A_FEATURES_ACTIVE).ok_or(io::ErrorKind::InvalidData)?;
    // The kernel sends a list without a mask: offloads in it are on.
    let bits = find(active, ETHTOOL_A_BITSET_BITS).unwrap_or_default();
    let name = |bit: &[u8]| {
        let name = find(bit, ETHTOOL_A_BITSET_BIT_NAME)?;
        Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
    };
    Ok(attributes(bits).filter_map(|(_, bit)| name(bit)).collect())
}

/// The kernel's id of the program in the TC filter at a priority and handle; `None` if there is no BPF filter.
///
/// # Errors
/// The kernel does not answer.
pub(crate) fn filter_program(device: u32, ingress: bool, priority: u16, handle: u32) -> io::Result<Option<u32>> {
    let parent = if ingress { INGRESS } else { EGRESS };
    let info = u32::from(priority) << 16 | u32::from(ETH_P_ALL);
    let request = [0, device, handle, parent, info].map(u32::to_ne_bytes).concat();
    let answer = match ask(NETLINK_ROUTE, RTM_GETTFILTER, &request) {
        Ok(answer) => answer,
        // There is no such filter, qdisc or device.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let options = answer.get(TCMSG..).and_then(|attributes| find(attributes, TCA_OPTIONS));
    Ok(options.and_then(|options| parse_u32(find(options, TCA_BPF_ID)?).ok()))
}

/// The number of a generic netlink family.
fn family(name: &str) -> io::Result<u16> {
    let name = [name.as_bytes(), b"\0"].concat();
    let answer = ask_generic(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &attribute(CTRL_ATTR_FAMILY_NAME, &name))?;
    parse_u16(find(&answer, CTRL_ATTR_FAMILY_ID).unwrap_or_default()).map_err(io::Error::other)
}

/// Sends a generic netlink request. Returns the attributes of the answer.
fn ask_generic(family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let answer = ask(NETLINK_GENERIC, family, &[&[command, 1, 0, 0], attributes].concat())?;
    answer.get(4..).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Sends a request. Returns the answer without its header.
fn ask(protocol: isize, kind: u16, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = Vec::with_capacity(HEADER + payload.len());
    request.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // Sequence and port are not needed: this is the only request on the socket.
    request.extend(payload);
    socket.send(&request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    if answer.get(4..6).and_then(|kind| parse_u16(kind).ok()) == Some(NLMSG_ERROR) {
        let code = answer.get(16..20).and_then(|code| parse_i32(code).ok()).unwrap_or(0);
        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
    }
    answer.get(HEADER..).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let attribute = DefaultNla::new(kind, value.to_vec());
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

/// The types and values of the attributes, up to the first malformed one.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let whole = NlasIterator::new(bytes).map_while(Result::ok);
    whole.filter_map(|nla| Some((nla.kind(), nla.into_inner().get(4..usize::from(nla.length()))?)))
}

fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(found, _)| found == kind).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_offloads_and_a_missing_device_is_an_error() {
        assert!(offloads(1).unwrap().contains(&"loopback".to_owned()));
        assert!(offloads(u32::MAX / 2).is_err());
    }

    #[test]
    fn damaged_attributes_end_the_list() {
        let bytes = [attribute(1, b"abc"), attribute(7 | NLA_F_NESTED, &attribute(2, &[9]))].concat();
        assert_eq!(find(find(&bytes, 7).unwrap(), 2), Some(&[9][..]));
        for cut in 0..bytes.len() {
            assert!(attributes(&bytes[..cut]).count() < 2);
        }
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0]).count(), 0, "shorter than its own header");
    }
}
