//! The configuration: TOML files, used only if all are valid.
//!
//! `/etc/tattler/tattler.toml` is read first, then `/etc/tattler/conf.d/*.toml` in order of name. A key in
//! a later file replaces the earlier value, lists included; names of devices and prefixes are merged.
//! Flags of the command line replace the values of the files.
//!
//! # Layout
//! - this file: all keys and their defaults
//! - [`load`]: finds and reads the files, and collects all problems
//! - `sections`: reads each key into its field
//! - `reader`: a table that remembers the keys that were read; all other keys are unknown
//! - `values`: validates text and numbers
//! - `problem`: a problem with file, line and column

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

/// `[sensor]`: settings that are also flags of `tattler run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SensorSection {
    /// The uplinks by name; empty: the devices of the IPv6 default routes.
    pub interfaces: Vec<String>,
    /// The state directory.
    pub state: PathBuf,
    /// The query socket.
    pub socket: PathBuf,
    /// The address that serves metrics and health; `None`, or `""` in the file: no listener.
    #[serde(serialize_with = "values::write_listen")]
    pub listen: Option<SocketAddr>,
    /// The mode in which the ingress program is attached.
    pub attach: Attach,
}

/// The mode in which the ingress program is attached to an uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// The first of the other modes that the kernel accepts.
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
    /// The home prefixes, instead of the prefixes from netlink; empty: use netlink.
    pub prefixes: Vec<Ipv6Net>,
    /// Prefixes that are home in addition.
    pub add: Vec<Ipv6Net>,
    /// Prefixes that are not home, including all prefixes that netlink finds inside.
    pub exclude: Vec<Ipv6Net>,
    /// Locals that outsiders are meant to reach: probes of these locals do not count as evidence.
    pub public: Vec<Ipv6Net>,
    /// NAT64 prefixes of this network (RFC 6052) besides the well-known prefixes. Remotes in a NAT64 prefix are IPv4
    /// hosts and are ignored.
    pub nat64: Vec<Ipv6Net>,
}

impl HomeSection {
    /// The settings in the form that [`tattler_core::home`] takes.
    #[must_use]
    pub fn for_netlink(&self) -> tattler_core::home::HomeSettings {
        let HomeSection { prefixes, add, exclude, .. } = self.clone();
        tattler_core::home::HomeSettings { only: prefixes, add, exclude }
    }
}

/// `[store]`: the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreSection {
    /// Age at which rows are deleted, in days of 24 hours.
    pub retention_days: u32,
    /// Length of the window that attribution uses, in days of 24 hours; at most the retention.
    pub window_days: u32,
    /// The maximum size of the database in MiB. 0: unlimited.
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
    /// Devices, given by MAC address or by the identifier that `tattler locals` shows.
    pub devices: Vec<DeviceId>,
    /// Remotes: addresses or prefixes.
    pub remotes: Vec<Ipv6Net>,
    /// Ports: of the remote in a contact, of the target in a probe.
    #[serde(serialize_with = "values::write_ports")]
    pub ports: Vec<tattler_core::exclusions::Port>,
}

/// `[names.devices]` and `[names.prefixes]`: names that queries show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamesSection {
    /// Names of devices, by MAC address or by the identifier that `tattler locals` shows.
    pub devices: BTreeMap<DeviceId, String>,
    /// Names of addresses and prefixes. The longest prefix that contains an address gives the name.
    pub prefixes: BTreeMap<Ipv6Net, String>,
}

/// `[privacy]`: data kept about devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrivacySection {
    /// Whether MAC addresses are stored in clear; otherwise as keyed hashes. A change needs a restart.
    pub keep_mac: bool,
}

/// `[kernel]`: sizes of the kernel's maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelSection {
    /// The size of the ring between kernel and user space in MiB; a power of two.
    pub ring_mib: u32,
    /// Maximum number of entries in each map that grows with traffic.
    pub map_entries: u32,
}

impl Default for KernelSection {
    fn default() -> KernelSection {
        KernelSection { ring_mib: 4, map_entries: 65_536 }
    }
}
