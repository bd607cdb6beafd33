//! New settings for a running sensor: what can change does, what can't is said.

use tracing::{info, warn};

use super::programs::Programs;
use super::{Sensor, Settings};
use crate::device_names;

/// New settings, or why there are none: a line for each problem.
pub type Reload = Result<Settings, Vec<String>>;

impl<P: Programs> Sensor<P> {
    /// Takes new settings over. Returns whether home has to be worked out anew.
    pub(super) fn reload(&mut self, reload: Reload) -> bool {
        let new = match reload {
            Ok(new) => new,
            Err(problems) => {
                for problem in problems {
                    warn!("{problem}");
                }
                warn!("the configuration has problems; the sensor goes on with the one it had");
                return false;
            }
        };
        let late = needs_restart(&new, &self.settings);
        for key in &late {
            warn!("{key} has changed; that takes a restart");
        }
        let changed = changes(&new, &self.settings);
        let old = self.settings.clone();
        // What takes a restart stays, so that the next reload tells it again.
        self.settings = Settings {
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
        let Settings { excluded_devices, keep_mac, names, public, .. } = &self.settings;
        let excluded = device_names::excluded_devices(excluded_devices, &self.key, *keep_mac);
        self.shared.set_names(device_names::names(names, public, Some(&self.key)));
        self.settings.exclusions.devices = excluded;
        if changed.is_empty() {
            let what = if late.is_empty() { "nothing" } else { "nothing else" };
            info!("configuration read again: {what} has changed");
            return false;
        }
        self.prefixes = self.settings.prefixes();
        self.writer.keep(self.settings.store);
        {
            let now = self.retained_at();
            let mut ledger = self.shared.ledger();
            ledger.set_public(self.settings.public.clone());
            ledger.set_window(self.settings.window, now);
        }
        // A report that was made before is of another time.
        *self.shared.suspects() = None;
        if self.settings.window > old.window {
            info!("store.window_days is longer: what it adds comes out of the store with the next start");
        }
        info!(changed = changed.join(" "), "configuration reloaded");
        true
    }
}

/// The keys that differ and can't change while the sensor runs.
fn needs_restart(new: &Settings, old: &Settings) -> Vec<&'static str> {
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

/// The keys that differ and can.
fn changes(new: &Settings, old: &Settings) -> Vec<&'static str> {
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
