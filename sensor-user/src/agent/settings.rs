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
#[derive(Clone, Debug, Default)]
pub struct SensorSettings {
    /// The uplinks by name; empty for those of the IPv6 default routes.
    pub interfaces: Vec<String>,
    /// What the user says about home.
    pub home: HomeSettings,
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
    /// Takes new settings over as far as a running sensor can. Returns the keys that changed, and those that need
    /// a restart; these keep their old values, so that the next reload reports them again.
    pub(super) fn take_over(&mut self, mut new: SensorSettings) -> (Vec<&'static str>, Vec<&'static str>) {
        fn keep<T: Clone + PartialEq>(key: &'static str, old: &T, new: &mut T) -> Option<&'static str> {
            let has_changed = new != old;
            new.clone_from(old);
            has_changed.then_some(key)
        }
        let old = &*self;
        let needs_restart = [
            keep("sensor.interfaces", &old.interfaces, &mut new.interfaces),
            keep("sensor.state", &old.state, &mut new.state),
            keep("sensor.socket", &old.socket, &mut new.socket),
            keep("sensor.listen", &old.listen, &mut new.listen),
            keep("sensor.attach", &old.attach, &mut new.attach),
            keep("privacy.keep_mac", &old.keep_mac, &mut new.keep_mac),
            keep("kernel.ring_mib", &old.sizes.ring_bytes, &mut new.sizes.ring_bytes),
            keep("kernel.map_entries", &old.sizes.entries, &mut new.sizes.entries),
        ];
        let changed = [
            ("home.prefixes", new.home.only != old.home.only),
            ("home.add", new.home.add != old.home.add),
            ("home.exclude", new.home.exclude != old.home.exclude),
            ("home.public", new.public != old.public),
            ("home.nat64", new.nat64 != old.nat64),
            ("store.retention_days", new.store.retention != old.store.retention),
            ("store.window_days", new.window != old.window),
            ("store.max_size_mib", new.store.most_bytes != old.store.most_bytes),
            ("exclude.devices", new.excluded_devices != old.excluded_devices),
            ("exclude.remotes", new.exclusions.remotes != old.exclusions.remotes),
            ("exclude.ports", new.exclusions.ports != old.exclusions.ports),
            ("names", new.names != old.names),
        ];
        *self = SensorSettings { keep: old.keep, ..new };
        let changed = changed.into_iter().filter(|key| key.1).map(|key| key.0);
        (changed.collect(), needs_restart.into_iter().flatten().collect())
    }
}
