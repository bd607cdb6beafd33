//! News of the network, as it changes.
//!
//! Messages that the kernel had to drop (ENOBUFS) and a connection that ended count as news too: what
//! was missed is read anew.

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

/// Yields once for each change of devices, IPv6 addresses or IPv6 routes, and where some may have
/// been missed. Never ends.
///
/// # Errors
/// When the socket can't be opened.
pub fn changes() -> Result<impl Stream<Item = News> + Unpin, NetlinkError> {
    let groups = &[MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr, MulticastGroup::Ipv6Route];
    Ok(Box::pin(lasting(groups)?.map(|message| match message.map(|message| message.payload) {
        // A port that leaves its bridge is told by a message of the bridge's family.
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

/// What is told of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourNews {
    /// One is known.
    Known(Neighbour),
    /// Some may have been missed: read them all.
    Missed,
}

/// Yields each IPv6 neighbour that becomes known or another. Never ends.
///
/// # Errors
/// When the socket can't be opened.
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

/// Messages of a connection that is opened again when it ends; `None` each time that it was.
fn lasting(
    groups: &'static [MulticastGroup],
) -> Result<impl Stream<Item = Option<NetlinkMessage<RouteNetlinkMessage>>>, NetlinkError> {
    Ok(stream::unfold(open(groups)?, move |mut messages| async move {
        if let Some(message) = messages.next().await {
            return Some((Some(message), messages));
        }
        warn!("the kernel's news of the network ended; asking again");
        loop {
            sleep(PAUSE).await;
            match open(groups) {
                Ok(messages) => return Some((None, messages)),
                Err(error) => warn!("{error}"),
            }
        }
    }))
}
