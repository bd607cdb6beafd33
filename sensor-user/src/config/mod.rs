//! The configuration: TOML files, used only if all are valid.
//!
//! `/etc/tattler/tattler.toml` is read first, then `/etc/tattler/conf.d/*.toml` in order of name. A key in
//! a later file replaces the earlier value, lists included; names of devices and prefixes are merged.
//! Flags of the command line override both.
//!
//! # Layout
//! - this file: all keys and their defaults
//! - [`load`]: finds and reads the files, and collects all problems
//! - [`sections`]: reads each key into its field
//! - [`reader`]: a table that remembers which keys were read; the others are unknown
//! - [`values`]: validates text and numbers
//! - [`problem`]: a problem with file, line and column

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
pub use problem::{FileLocation, Problem};
pub use values::{DeviceId, Mac, attach, home_prefix, listen, remote};

/// The whole configuration. Serialized to TOML, it is a valid configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Uplinks, directories and listeners. A change needs a restart.
    pub sensor: SensorSection,
    /// The prefixes that are ours.
    pub home: HomeSection,
    /// Retention.
    pub store: StoreSection,
    /// Observations that are never recorded.
    pub exclude: ExcludeSection,
    /// Names for devices and prefixes.
    pub names: NamesSection,
    /// Data kept about devices.
    pub privacy: PrivacySection,
    /// The sizes of the kernel's maps. A change needs a restart.
    pub kernel: KernelSection,
}

/// `[sensor]`: the same as flags of `tattler run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SensorSection {
    /// The uplinks by name; empty: the devices of the IPv6 default routes.
    pub interfaces: Vec<String>,
    /// The state directory.
    pub state: PathBuf,
    /// The query socket.
    pub socket: PathBuf,
    /// The address that serves metrics and health; `""` in the file disables it.
    #[serde(serialize_with = "values::write_listen")]
    pub listen: Option<SocketAddr>,
    /// How the ingress program is attached.
    pub attach: Attach,
}

/// How the ingress program is attached to an uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// The first of the others that the kernel accepts.
    #[default]
    Auto,
    /// XDP in the driver.
    Native,
    /// XDP in the network stack.
    Generic,
    /// TC.
    Tc,
}

impl Default for SensorSection {
    fn default() -> SensorSection {
        SensorSection {
            interfaces: Vec::new(),
            state: "/var/lib/tattler".into(),
            socket: "/run/tattler/tattler.sock".into(),
            listen: Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9646))),
            attach: Attach::Auto,
        }
    }
}

/// `[home]`: the prefixes that are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HomeSection {
    /// Only these are home, and netlink is ignored; empty: use netlink.
    pub prefixes: Vec<Ipv6Net>,
    /// Home as well.
    pub add: Vec<Ipv6Net>,
    /// Not home, including all that netlink finds inside.
    pub exclude: Vec<Ipv6Net>,
    /// Locals that are meant to be reached: probes of them are no evidence.
    pub public: Vec<Ipv6Net>,
    /// NAT64 prefixes of this network (RFC 6052) besides the well-known ones: remotes in them are IPv4
    /// hosts and are ignored.
    pub nat64: Vec<Ipv6Net>,
}

impl HomeSection {
    /// The settings as [`tattler_core::home`] takes them.
    #[must_use]
    pub fn for_netlink(&self) -> tattler_core::home::HomeSettings {
        let HomeSection { prefixes, add, exclude, .. } = self.clone();
        tattler_core::home::HomeSettings { only: prefixes, add, exclude }
    }
}

/// `[store]`: the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreSection {
    /// Older rows are deleted; in days of 24 hours.
    pub retention_days: u32,
    /// How far back attribution looks, in days of 24 hours; at most the retention.
    pub window_days: u32,
    /// The maximum size of the database in MiB. 0: no bound.
    pub max_size_mib: u32,
}

impl Default for StoreSection {
    fn default() -> StoreSection {
        StoreSection { retention_days: 38, window_days: 30, max_size_mib: 1_024 }
    }
}

/// `[exclude]`: observations that are never recorded, neither in memory nor on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExcludeSection {
    /// Devices, by MAC address or by the identifier that `tattler locals` shows.
    pub devices: Vec<DeviceId>,
    /// Remotes: addresses or prefixes.
    pub remotes: Vec<Ipv6Net>,
    /// Ports: the remote's of a contact, the target's of a probe.
    #[serde(serialize_with = "values::write_ports")]
    pub ports: Vec<tattler_core::exclusions::Port>,
}

/// `[names.devices]` and `[names.prefixes]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamesSection {
    /// By MAC address or by the identifier that `tattler locals` shows.
    pub devices: BTreeMap<DeviceId, String>,
    /// By address or prefix; the longest matching prefix gives the name.
    pub prefixes: BTreeMap<Ipv6Net, String>,
}

/// `[privacy]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrivacySection {
    /// Whether MAC addresses are stored in clear and not as keyed hashes. A change needs a restart.
    pub keep_mac: bool,
}

/// `[kernel]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelSection {
    /// The size of the ring between kernel and user space in MiB; a power of two.
    pub ring_mib: u32,
    /// Entries of each map that grows with traffic.
    pub map_entries: u32,
}

impl Default for KernelSection {
    fn default() -> KernelSection {
        KernelSection { ring_mib: 4, map_entries: 65_536 }
    }
}
