//! Devices, addresses and routes, as the kernel tells them by netlink.

pub mod generic;
mod home;
mod links;

use std::net::{IpAddr, Ipv6Addr};

use futures_util::stream::{Stream, StreamExt, TryStreamExt};
use ipnet::Ipv6Net;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_connection, new_multicast_connection};

pub use home::home;
pub use links::LinkDetails;

use crate::datapath::Device;

/// What netlink said went wrong.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} by netlink: {reason}")]
pub struct NetlinkError {
    what: &'static str,
    reason: String,
}

/// An IPv6 address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The device's index.
    pub device: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// The length of its on-link prefix.
    pub prefix_len: u8,
    /// A temporary address (RFC 8981).
    pub temporary: bool,
}

/// An IPv6 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads to.
    pub prefix: Ipv6Net,
    /// The device's index, 0 if none.
    pub device: u32,
    /// Refuses packets: what prefix delegation leaves for the part that is not in use.
    pub refuses: bool,
}

/// The network at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Devices.
    pub devices: Vec<Device>,
    /// IPv6 addresses of this machine.
    pub addresses: Vec<Address>,
    /// IPv6 routes of the main table.
    pub routes: Vec<Route>,
}

impl Network {
    /// The device with this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The devices of the IPv6 default routes: the uplinks, unless told otherwise.
    #[must_use]
    pub fn default_uplinks(&self) -> Vec<Device> {
        let leads_out = |device: &&Device| {
            self.routes.iter().any(|r| r.prefix.prefix_len() == 0 && !r.refuses && r.device == device.index)
        };
        self.devices.iter().filter(leads_out).cloned().collect()
    }
}

/// A connection to the kernel's routing netlink.
pub struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Connects; must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the socket can't be opened.
    pub fn connect() -> Result<Netlink, NetlinkError> {
        let (connection, handle, _) = new_connection().map_err(failed("anything"))?;
        tokio::spawn(connection);
        Ok(Netlink { handle })
    }

    /// Reads the network.
    ///
    /// # Errors
    /// When the kernel refuses to list something.
    pub async fn network(&self) -> Result<Network, NetlinkError> {
        let mut network = Network::default();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await.map_err(failed("devices"))? {
            let name = link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name.clone()),
                _ => None,
            });
            if let Some(name) = name {
                network.devices.push(Device {
                    name,
                    index: link.header.index,
                    kind: link.header.link_layer_type.into(),
                });
            }
        }
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.map_err(failed("addresses"))? {
            network.addresses.extend(address(&message));
        }
        let mut routes = self.handle.route().get(RouteMessageBuilder::<Ipv6Addr>::new().build()).execute();
        while let Some(message) = routes.try_next().await.map_err(failed("routes"))? {
            network.routes.extend(route(&message));
        }
        Ok(network)
    }
}

/// Yields once for each change of devices, IPv6 addresses or IPv6 routes.
///
/// # Errors
/// When the socket can't be opened.
pub fn changes() -> Result<impl Stream<Item = ()> + Unpin, NetlinkError> {
    let groups = [MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr, MulticastGroup::Ipv6Route];
    let (connection, _, messages) = new_multicast_connection(&groups).map_err(failed("changes"))?;
    tokio::spawn(connection);
    Ok(messages.map(|_| ()))
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> NetlinkError {
    move |error| NetlinkError { what, reason: error.to_string() }
}

fn address(message: &AddressMessage) -> Option<Address> {
    if message.header.family != AddressFamily::Inet6 {
        return None;
    }
    // The flags attribute has all 32 bits; the header has the low 8 of them.
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(address)) => found = found.or(Some(*address)),
            // Of a point-to-point device this is ours, and the other the peer's.
            AddressAttribute::Local(IpAddr::V6(address)) => found = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    Some(Address {
        device: message.header.index,
        address: found?,
        prefix_len: message.header.prefix_len,
        // The kernel has one number for IFA_F_TEMPORARY and IFA_F_SECONDARY.
        temporary: flags.contains(AddressFlags::Secondary),
    })
}

fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let refuses = matches!(header.kind, RouteType::Unreachable | RouteType::BlackHole | RouteType::Prohibit);
    let main_table = header.table == RouteHeader::RT_TABLE_MAIN;
    if header.address_family != AddressFamily::Inet6 || !main_table || !(refuses || header.kind == RouteType::Unicast) {
        return None;
    }
    let mut network = Ipv6Addr::UNSPECIFIED;
    let mut device = 0;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(destination)) => network = *destination,
            RouteAttribute::Oif(index) => device = *index,
            RouteAttribute::MultiPath(hops) => device = hops.first().map_or(device, |hop| hop.interface_index),
            _ => {}
        }
    }
    let prefix = Ipv6Net::new(network, header.destination_prefix_length).ok()?;
    Some(Route { prefix, device, refuses })
}
