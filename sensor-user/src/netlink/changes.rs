//! Changes of the network.
//!
//! If the kernel had to drop messages (ENOBUFS) or the connection ended, this counts as a change, too: everything is
//! read again.

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tattler_core::home::News;
use tokio::time::sleep;
use tracing::warn;

use super::neighbours::{Neighbour, neighbour};
use super::{NetlinkError, address, failed, routes};

/// How long to wait before a connection that ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);

type Messages = Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Send>>;

/// Yields an item for each change of devices, IPv6 addresses or IPv6 routes, and when some may have been missed. Never
/// ends.
///
/// # Errors
/// The socket can't be opened.
pub fn changes() -> Result<impl Stream<Item = News> + Unpin, NetlinkError> {
    let groups = &[MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr, MulticastGroup::Ipv6Route];
    Ok(Box::pin(lasting(groups)?.map(|message| match message.map(|message| message.payload) {
        // If a port leaves a bridge, the message has the family of bridges, and the device still exists.
        Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)))
            if link.header.interface_family == AddressFamily::Unspec =>
        {
            News::Gone(link.header.index)
        }
        Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message))) => {
            address(&message).map_or(News::Changed, News::Address)
        }
        Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(message))) => match routes(&message)[..] {
            [route] => News::Route(route),
            _ => News::Changed,
        },
        _ => News::Changed,
    })))
}

/// A change of the neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourNews {
    /// A neighbour is known.
    Known(Neighbour),
    /// Some changes may have been missed: all neighbours have to be read.
    Missed,
}

/// Yields each IPv6 neighbour that becomes known or changes. Never ends.
///
/// # Errors
/// The socket can't be opened.
pub fn neighbour_changes() -> Result<impl Stream<Item = NeighbourNews> + Unpin, NetlinkError> {
    let news = lasting(&[MulticastGroup::Neigh])?.filter_map(|message| async move {
        match message.map(|message| message.payload) {
            None | Some(NetlinkPayload::Overrun(_)) => Some(NeighbourNews::Missed),
            Some(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(message))) => {
                neighbour(&message).map(NeighbourNews::Known)
            }
            Some(_) => None,
        }
    });
    Ok(Box::pin(news))
}

fn open(groups: &[MulticastGroup]) -> Result<Messages, NetlinkError> {
    let (connection, _, messages) = new_multicast_connection(groups).map_err(failed("changes"))?;
    tokio::spawn(connection);
    Ok(Box::pin(messages.map(|(message, _)| message)))
}

/// The messages of a connection that is reopened when it ends; `None` each time it was reopened.
fn lasting(
    groups: &'static [MulticastGroup],
) -> Result<impl Stream<Item = Option<NetlinkMessage<RouteNetlinkMessage>>>, NetlinkError> {
    Ok(stream::unfold(open(groups)?, move |mut messages| async move {
        if let Some(message) = messages.next().await {
            return Some((Some(message), messages));
        }
        warn!("the connection to the kernel's network events ended; reopening it");
        loop {
            sleep(PAUSE).await;
            match open(groups) {
                Ok(messages) => return Some((None, messages)),
                Err(error) => warn!("{error}"),
            }
        }
    }))
}
