//! What the configuration says of devices, in the names that this installation has for them.

use super::Settings;
use crate::config::{self, DeviceKey as Device};
use crate::names::Names;
use crate::store::DeviceKey;

/// Excluded devices by the names that observations give them.
pub(super) fn excluded_devices(settings: &Settings, key: &DeviceKey) -> Vec<String> {
    settings.excluded_devices.iter().map(|device| known_as(device, key, settings.keep_mac)).collect()
}

/// Names for people.
pub(super) fn names(settings: &Settings, key: &DeviceKey) -> Names {
    let config::Names { devices, prefixes } = &settings.names;
    let mut names = Names::default();
    for (device, name) in devices {
        names.name_device(known_as(device, key, settings.keep_mac), name);
    }
    for (&prefix, name) in prefixes {
        names.label_prefix(prefix, name);
    }
    for &prefix in &settings.public {
        names.mark_public(prefix);
    }
    names
}

fn known_as(device: &Device, key: &DeviceKey, keep_mac: bool) -> String {
    device.known_as(|mac| key.name(mac, keep_mac))
}
