//! The configuration: TOML, read whole or not at all.
//!
//! `/etc/tattler/tattler.toml` first, then `/etc/tattler/conf.d/*.toml` in order of name. A key in a
//! later file replaces that of an earlier one, lists included; names of devices and prefixes are
//! added up. What the command line says wins over both.
//!
//! # Layout
//! - this file: what can be configured, and what holds unless it is
//! - [`load`]: which files there are, and all problems in them at once
//! - [`sections`]: which key goes where
//! - [`reader`]: a table whose keys are taken one by one, so that what is left over is unknown
//! - [`values`]: text and numbers become validated values
//! - [`problem`]: file, line, column, and what is wrong

mod load;
mod problem;
mod reader;
mod sections;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::Ipv6Net;
use serde::Serialize;

pub use load::{DEFAULT_PATH, Loaded, Problems, default_sensor, load};
pub use problem::{Place, Problem};
pub use values::{DeviceKey, Mac, attach, home_prefix, listen, remote};

/// All that can be configured; as TOML it reads as the files do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Where the sensor looks, keeps and answers. A change takes a restart.
    pub sensor: Sensor,
    /// What is ours.
    pub home: Home,
    /// What is kept, and for how long.
    pub store: Store,
    /// What is never recorded.
    pub exclude: Exclude,
    /// Names instead of numbers in what people read.
    pub names: Names,
    /// What is kept about devices.
    pub privacy: Privacy,
    /// The sizes of the kernel's maps. A change takes a restart.
    pub kernel: Kernel,
}

/// `[sensor]`: as the flags of `tattler run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sensor {
    /// The uplinks by name; empty for those of the IPv6 default routes.
    pub interfaces: Vec<String>,
    /// The state directory.
    pub state: PathBuf,
    /// The query socket.
    pub socket: PathBuf,
    /// Where metrics and health are served, if anywhere; `""` in the file for nowhere.
    #[serde(serialize_with = "values::write_listen")]
    pub listen: Option<SocketAddr>,
    /// How ingress is attached.
    pub attach: Attach,
}

/// How ingress is attached to an uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// The first of the others that the kernel takes.
    #[default]
    Auto,
    /// XDP in the driver.
    Native,
    /// XDP in the network stack.
    Generic,
    /// TC.
    Tc,
}

impl Default for Sensor {
    fn default() -> Sensor {
        Sensor {
            interfaces: Vec::new(),
            state: "/var/lib/tattler".into(),
            socket: "/run/tattler/tattler.sock".into(),
            listen: Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9646))),
            attach: Attach::Auto,
        }
    }
}

/// `[home]`: which prefixes are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Home {
    /// These count alone, and netlink is not asked; empty for what netlink tells.
    pub prefixes: Vec<Ipv6Net>,
    /// Home as well, whatever else is.
    pub add: Vec<Ipv6Net>,
    /// Not home, with all that netlink finds inside.
    pub exclude: Vec<Ipv6Net>,
    /// Locals that are meant to be reached: probes of them are no evidence.
    pub public: Vec<Ipv6Net>,
    /// NAT64 prefixes of this network (RFC 6052) beside the well-known ones: remotes in them are IPv4
    /// hosts and don't count.
    pub nat64: Vec<Ipv6Net>,
}

impl Home {
    /// As netlink's rules take it.
    #[must_use]
    pub fn for_netlink(&self) -> tattler_core::home::Prefixes {
        let Home { prefixes, add, exclude, .. } = self.clone();
        tattler_core::home::Prefixes { only: prefixes, add, exclude }
    }
}

/// `[store]`: the diary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// What is older is deleted, in days of 24 hours.
    pub retention_days: u32,
    /// How far back attribution looks, in days of 24 hours; at most the retention.
    pub window_days: u32,
    /// The most that the database takes on disk, in MiB; the oldest goes first. 0 for no bound.
    pub max_size_mib: u32,
}

impl Default for Store {
    fn default() -> Store {
        Store { retention_days: 38, window_days: 30, max_size_mib: 1_024 }
    }
}

/// `[exclude]`: what is never recorded, neither in memory nor on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exclude {
    /// Devices by MAC address or by the id that `tattler locals` shows.
    pub devices: Vec<DeviceKey>,
    /// Remotes, one by one or by prefix.
    pub remotes: Vec<Ipv6Net>,
    /// Ports: the remote's of a contact, the target's of a probe.
    #[serde(serialize_with = "values::write_ports")]
    pub ports: Vec<tattler_core::exclusions::Port>,
}

/// `[names.devices]` and `[names.prefixes]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Names {
    /// By MAC address or by the id that `tattler locals` shows.
    pub devices: BTreeMap<DeviceKey, String>,
    /// By address or prefix; the longest prefix names.
    pub prefixes: BTreeMap<Ipv6Net, String>,
}

/// `[privacy]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Privacy {
    /// Whether MAC addresses are kept as they are, and not as keyed hashes. A change takes a restart.
    pub keep_mac: bool,
}

/// `[kernel]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// The ring between kernel and user space, in MiB; a power of two.
    pub ring_mib: u32,
    /// Entries of each map that grows with traffic.
    pub map_entries: u32,
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel { ring_mib: 4, map_entries: 65_536 }
    }
}
