//! Neighbours: the MAC addresses of IPv6 addresses.

use std::net::Ipv6Addr;

use futures_util::stream::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::{Netlink, NetlinkError, failed};

/// An IPv6 address on a link, and the MAC address behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the device that leads to it.
    pub device: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// Its MAC address, randomised or not.
    pub mac: [u8; 6],
}

impl Netlink {
    /// Reads all neighbours whose MAC address is known.
    ///
    /// # Errors
    /// The kernel refuses to list them.
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, NetlinkError> {
        let mut neighbours = Vec::new();
        let mut messages = self.handle.neighbours().get().set_address_family(AddressFamily::Inet6).execute();
        while let Some(message) = messages.try_next().await.map_err(failed("neighbours"))? {
            neighbours.extend(neighbour(&message));
        }
        Ok(neighbours)
    }
}

/// The neighbour in a message, if its MAC address is known. It is not known during address resolution.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    // A neighbour has exactly one state.
    let searched =
        matches!(message.header.state, NeighbourState::Incomplete | NeighbourState::Failed | NeighbourState::Noarp);
    if message.header.family != AddressFamily::Inet6 || searched {
        return None;
    }
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(found)) => address = Some(*found),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            _ => {}
        }
    }
    // Group addresses and zero are not addresses of devices.
    let mac = mac.filter(|mac| mac[0] & 1 == 0 && *mac != [0; 6])?;
    Some(Neighbour { device: message.header.ifindex, address: address?, mac })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(state: NeighbourState, mac: &[u8]) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.ifindex = 3;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet6("2001:db8::5".parse().unwrap())),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        message
    }

    #[test]
    fn confirmed_neighbours_are_known_in_every_state() {
        let expected = Neighbour { device: 3, address: "2001:db8::5".parse().unwrap(), mac: [2, 0, 0, 0, 0, 9] };
        for state in [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Permanent] {
            assert_eq!(neighbour(&message(state, &expected.mac)), Some(expected));
        }
    }

    #[test]
    fn unresolved_neighbours_groups_and_tunnels_have_no_mac() {
        assert_eq!(neighbour(&message(NeighbourState::Incomplete, &[2, 0, 0, 0, 0, 9])), None);
        assert_eq!(neighbour(&message(NeighbourState::Failed, &[2, 0, 0, 0, 0, 9])), None);
        for mac in [&[0x33, 0x33, 0, 0, 0, 1][..], &[0; 6], &[], &[1, 2, 3, 4]] {
            assert_eq!(neighbour(&message(NeighbourState::Reachable, mac)), None, "{mac:?}");
        }
    }
}
