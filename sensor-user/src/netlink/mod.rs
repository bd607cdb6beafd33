//! Devices, addresses, routes and neighbours, by netlink.

mod changes;
pub mod generic;
mod links;
mod neighbours;

use std::net::{IpAddr, Ipv6Addr};

use futures_util::stream::TryStreamExt;
use ipnet::Ipv6Net;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder, new_connection};

pub use changes::{NeighbourNews, changes, neighbour_changes};
pub use links::LinkDetails;
pub use neighbours::Neighbour;
use tattler_core::home::{InterfaceAddress, NetworkState, Route};

/// An error of netlink.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} by netlink: {reason}")]
pub struct NetlinkError {
    what: &'static str,
    reason: String,
}

/// A connection to the kernel's routing netlink.
pub struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Connects. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The socket can't be opened.
    pub fn connect() -> Result<Netlink, NetlinkError> {
        let (connection, handle, _) = new_connection().map_err(failed("anything"))?;
        tokio::spawn(connection);
        Ok(Netlink { handle })
    }

    /// Reads devices, addresses and routes.
    ///
    /// # Errors
    /// The kernel refuses to list them.
    pub async fn network(&self) -> Result<NetworkState, NetlinkError> {
        let mut network = NetworkState::default();
        for LinkDetails { device, up, .. } in self.links().await? {
            network.up.extend(up.then_some(device.index));
            network.devices.push(device);
        }
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.map_err(failed("addresses"))? {
            network.addresses.extend(address(&message));
        }
        let mut messages = self.handle.route().get(RouteMessageBuilder::<Ipv6Addr>::new().build()).execute();
        while let Some(message) = messages.try_next().await.map_err(failed("routes"))? {
            network.routes.extend(routes(&message));
        }
        Ok(network)
    }
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> NetlinkError {
    move |error| NetlinkError { what, reason: error.to_string() }
}

fn address(message: &AddressMessage) -> Option<InterfaceAddress> {
    if message.header.family != AddressFamily::Inet6 {
        return None;
    }
    // The flags attribute has all 32 bits; the header has the low 8 of them.
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut listed, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(address)) => listed = Some(*address),
            AddressAttribute::Local(IpAddr::V6(address)) => local = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // Until duplicate address detection ends, the address may belong to another host.
    let tentative = flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    if tentative || flags.contains(AddressFlags::Dadfailed) {
        return None;
    }
    // A point-to-point device has our address and the peer's. The prefix is the peer's.
    let peer = local.is_some() && listed.is_some() && local != listed;
    Some(InterfaceAddress {
        device: message.header.index,
        address: local.or(listed)?,
        prefix_len: if peer { 128 } else { message.header.prefix_len },
        // IFA_F_TEMPORARY and IFA_F_SECONDARY are the same flag.
        temporary: flags.contains(AddressFlags::Secondary),
    })
}

/// One route for each device of a multipath route.
fn routes(message: &RouteMessage) -> Vec<Route> {
    let header = &message.header;
    let refuses = matches!(header.kind, RouteType::Unreachable | RouteType::BlackHole | RouteType::Prohibit);
    let main_table = header.table == RouteHeader::RT_TABLE_MAIN;
    if header.address_family != AddressFamily::Inet6 || !main_table || !(refuses || header.kind == RouteType::Unicast) {
        return Vec::new();
    }
    let mut network = Ipv6Addr::UNSPECIFIED;
    let mut devices = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(destination)) => network = *destination,
            RouteAttribute::Oif(index) => devices.push(*index),
            RouteAttribute::MultiPath(hops) => devices.extend(hops.iter().map(|hop| hop.interface_index)),
            _ => {}
        }
    }
    let Ok(prefix) = Ipv6Net::new(network, header.destination_prefix_length) else { return Vec::new() };
    if devices.is_empty() {
        devices.push(0);
    }
    devices.into_iter().map(|device| Route { prefix, device, refuses }).collect()
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteNextHop;

    use super::*;

    fn ours_of(flags: AddressFlags, attributes: &[AddressAttribute]) -> Option<InterfaceAddress> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.index = 4;
        message.header.prefix_len = 64;
        message.attributes = attributes.to_vec();
        message.attributes.push(AddressAttribute::Flags(flags));
        address(&message)
    }

    fn one(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_ours_after_duplicate_detection_while_valid() {
        let ours = [AddressAttribute::Address(one("2001:db8::5"))];
        assert_eq!(ours_of(AddressFlags::Tentative, &ours), None);
        assert_eq!(ours_of(AddressFlags::Dadfailed | AddressFlags::Permanent, &ours), None);
        assert!(ours_of(AddressFlags::Tentative | AddressFlags::Optimistic, &ours).is_some());
        let deprecated = ours_of(AddressFlags::Deprecated | AddressFlags::Secondary, &ours).unwrap();
        assert!(deprecated.temporary, "a deprecated address is probed for days");
    }

    #[test]
    fn of_a_point_to_point_device_only_the_local_address_is_ours() {
        let both = [AddressAttribute::Address(one("2001:db8:9::1")), AddressAttribute::Local(one("2001:db8:8::1"))];
        let address = ours_of(AddressFlags::Permanent, &both).unwrap();
        assert_eq!((address.address, address.prefix_len), ("2001:db8:8::1".parse().unwrap(), 128));
    }

    #[test]
    fn a_default_route_with_two_next_hops_has_two_uplinks() {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet6;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.kind = RouteType::Unicast;
        let hop = |index| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = index;
            hop
        };
        message.attributes = vec![RouteAttribute::MultiPath(vec![hop(2), hop(3)])];
        assert_eq!(routes(&message).iter().map(|route| route.device).collect::<Vec<_>>(), [2, 3]);
    }
}
