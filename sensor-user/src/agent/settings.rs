//! Settings of a sensor, and which of them can change while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::Ipv6Net;
use tattler_core::exclusions::Exclusions;
use tattler_core::home::HomeSettings;
use tattler_core::time::Span;

use crate::config;
use crate::datapath::{Mode, Sizes};
use crate::store;

/// New settings, or a line for each problem with them.
pub type Reload = Result<SensorSettings, Vec<String>>;

/// Settings of a sensor.
#[derive(Clone, Debug)]
pub struct SensorSettings {
    /// The uplinks by name; empty for those of the IPv6 default routes.
    pub interfaces: Vec<String>,
    /// Home prefixes; empty for those that netlink shows.
    pub home: Vec<Ipv6Net>,
    /// Home as well, whatever netlink shows.
    pub home_add: Vec<Ipv6Net>,
    /// Not home, nor anything inside that netlink shows.
    pub home_exclude: Vec<Ipv6Net>,
    /// Locals that are meant to be reached: probes of them are no evidence.
    pub public: Vec<Ipv6Net>,
    /// Devices are named by their MAC addresses, instead of a keyed hash of them.
    pub keep_mac: bool,
    /// NAT64 prefixes of this network (RFC 6052): remotes in them are IPv4 hosts and don't count.
    pub nat64: Vec<Ipv6Net>,
    /// The state directory.
    pub state: PathBuf,
    /// The query socket.
    pub socket: PathBuf,
    /// Where HTTP listens, if anywhere.
    pub listen: Option<SocketAddr>,
    /// How long the diary is kept, and how large it may be.
    pub store: store::StoreSettings,
    /// Never recorded; the devices among them come from `excluded_devices`.
    pub exclusions: Exclusions,
    /// Devices that are never recorded, as the configuration names them.
    pub excluded_devices: Vec<config::DeviceId>,
    /// Names for people.
    pub names: config::NamesSection,
    /// How far back the ledger looks.
    pub window: Span,
    /// The sizes of the kernel's maps.
    pub sizes: Sizes,
    /// How ingress is attached; `None` for the first way that the kernel takes.
    pub attach: Option<Mode>,
    /// Programs and maps stay in the kernel when the sensor stops, for its next start.
    pub keep: bool,
}

impl SensorSettings {
    /// What the user says about home.
    pub(super) fn prefixes(&self) -> HomeSettings {
        HomeSettings { only: self.home.clone(), add: self.home_add.clone(), exclude: self.home_exclude.clone() }
    }

    /// Takes new settings over as far as a running sensor can. Returns the keys that changed, and those that need
    /// a restart; these keep their old values, so that the next reload reports them again.
    pub(super) fn take_over(&mut self, new: SensorSettings) -> Changed {
        let old = self.clone();
        let changed = Changed { now: changes(&new, &old), at_restart: needs_restart(&new, &old) };
        *self = SensorSettings {
            interfaces: old.interfaces,
            state: old.state,
            socket: old.socket,
            listen: old.listen,
            attach: old.attach,
            keep: old.keep,
            sizes: old.sizes,
            keep_mac: old.keep_mac,
            ..new
        };
        changed
    }
}

/// The keys that differ between two settings.
pub(super) struct Changed {
    pub(super) now: Vec<&'static str>,
    pub(super) at_restart: Vec<&'static str>,
}

fn needs_restart(new: &SensorSettings, old: &SensorSettings) -> Vec<&'static str> {
    differing([
        ("sensor.interfaces", new.interfaces != old.interfaces),
        ("sensor.state", new.state != old.state),
        ("sensor.socket", new.socket != old.socket),
        ("sensor.listen", new.listen != old.listen),
        ("sensor.attach", new.attach != old.attach),
        ("privacy.keep_mac", new.keep_mac != old.keep_mac),
        ("kernel.ring_mib", new.sizes.ring_bytes != old.sizes.ring_bytes),
        ("kernel.map_entries", new.sizes.entries != old.sizes.entries),
    ])
}

fn changes(new: &SensorSettings, old: &SensorSettings) -> Vec<&'static str> {
    differing([
        ("home.prefixes", new.home != old.home),
        ("home.add", new.home_add != old.home_add),
        ("home.exclude", new.home_exclude != old.home_exclude),
        ("home.public", new.public != old.public),
        ("home.nat64", new.nat64 != old.nat64),
        ("store.retention_days", new.store.retention != old.store.retention),
        ("store.window_days", new.window != old.window),
        ("store.max_size_mib", new.store.most_bytes != old.store.most_bytes),
        ("exclude.devices", new.excluded_devices != old.excluded_devices),
        ("exclude.remotes", new.exclusions.remotes != old.exclusions.remotes),
        ("exclude.ports", new.exclusions.ports != old.exclusions.ports),
        ("names", new.names != old.names),
    ])
}

fn differing<const N: usize>(keys: [(&'static str, bool); N]) -> Vec<&'static str> {
    keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}
