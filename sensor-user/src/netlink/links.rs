//! Devices and their details.

use futures_util::TryStreamExt;
use netlink_packet_route::link::{InfoData, LinkAttribute, LinkFlags, LinkInfo};
use tattler_core::home::NetworkDevice;

use super::{Netlink, NetlinkError, failed};

/// A device with details for `tattler doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkDetails {
    /// The device.
    pub device: NetworkDevice,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it is switched on and has a carrier.
    pub running: bool,
    /// `vlan`, `veth`, `sit` and so on; `None` for hardware.
    pub kind: Option<String>,
    /// The index of the underlying device, for example of a VLAN.
    pub below: Option<u32>,
}

impl Netlink {
    /// Reads all devices.
    ///
    /// # Errors
    /// The kernel refuses to list them.
    pub async fn links(&self) -> Result<Vec<LinkDetails>, NetlinkError> {
        let mut found = Vec::new();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await.map_err(failed("devices"))? {
            let (index, kind) = (link.header.index, link.header.link_layer_type.into());
            let mut details = LinkDetails {
                device: NetworkDevice { name: String::new(), index, kind },
                up: link.header.flags.contains(LinkFlags::Up),
                running: link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
                kind: None,
                below: None,
            };
            for attribute in link.attributes {
                match attribute {
                    LinkAttribute::IfName(name) => details.device.name = name,
                    LinkAttribute::Link(below) => details.below = Some(below),
                    LinkAttribute::LinkInfo(infos) => infos.into_iter().for_each(|info| match info {
                        LinkInfo::Kind(kind) => details.kind = Some(kind.to_string()),
                        LinkInfo::Data(InfoData::Vlan(_)) => details.kind = Some("vlan".into()),
                        _ => {}
                    }),
                    _ => {}
                }
            }
            found.push(details);
        }
        Ok(found)
    }
}
