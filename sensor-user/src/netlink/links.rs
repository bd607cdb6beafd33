//! More about devices than the sensor needs, for those who look for what is wrong.

use futures_util::TryStreamExt;
use netlink_packet_route::link::{InfoData, LinkAttribute, LinkFlags, LinkInfo};

use super::{Netlink, NetlinkError, failed};

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkDetails {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Switched on and with a carrier.
    pub running: bool,
    /// `vlan`, `veth`, `sit` and so on; `None` for hardware.
    pub kind: Option<String>,
    /// The device below it, as of a VLAN.
    pub below: Option<u32>,
}

impl Netlink {
    /// Reads all devices.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn links(&self) -> Result<Vec<LinkDetails>, NetlinkError> {
        let mut found = Vec::new();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await.map_err(failed("devices"))? {
            let mut details = LinkDetails {
                index: link.header.index,
                running: link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
                ..LinkDetails::default()
            };
            for attribute in link.attributes {
                match attribute {
                    LinkAttribute::IfName(name) => details.name = name,
                    LinkAttribute::Link(below) => details.below = Some(below),
                    LinkAttribute::LinkInfo(infos) => {
                        for info in infos {
                            match info {
                                LinkInfo::Kind(kind) => details.kind = Some(kind.to_string()),
                                LinkInfo::Data(InfoData::Vlan(_)) => details.kind = Some("vlan".into()),
                                _ => {}
                            }
                        }
                    }
                    _ => {}
                }
            }
            found.push(details);
        }
        Ok(found)
    }
}
