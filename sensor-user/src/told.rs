//! What the configuration says of devices, in the names that one store has for them.

use ipnet::Ipv6Net;
use tattler_core::forget::Forget;
use tattler_core::names::Names;
use thiserror::Error;

use crate::config::{self, DeviceKey as Device};
use crate::store::{DeviceKey, Store, WriteError};

/// Why nothing is forgotten.
#[derive(Debug, Error)]
pub enum Unmeant {
    /// Nobody has that name.
    #[error(
        "no device is called {0}, neither in the configuration nor in the diary; `tattler locals --by device` shows \
         those there are"
    )]
    Unknown(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] WriteError),
}

/// Excluded devices by the names that observations give them.
#[must_use]
pub fn excluded_devices(devices: &[Device], key: &DeviceKey, keep_mac: bool) -> Vec<String> {
    devices.iter().map(|device| device.known_as(|mac| key.name(mac, keep_mac))).collect()
}

/// Names for people. A store without a key has no hashes either.
#[must_use]
pub fn names(said: &config::Names, public: &[Ipv6Net], key: Option<&DeviceKey>) -> Names {
    let mut names = Names::default();
    for (device, name) in &said.devices {
        for id in ids(device, key) {
            names.name_device(id, name);
        }
    }
    for (&prefix, name) in &said.prefixes {
        names.label_prefix(prefix, name);
    }
    for &prefix in public {
        names.mark_public(prefix);
    }
    names
}

/// What is to be forgotten, by identifiers: the device that it names may be several, by the name that
/// the configuration gives them, by hardware address or by identifier. `in_memory` is whether the
/// window knows a device of that identifier.
///
/// # Errors
/// One line: nothing is called that, so that a slip does not look like a diary without it.
pub fn meant(what: &Forget, names: &Names, store: &mut Store, in_memory: bool) -> Result<Vec<Forget>, Unmeant> {
    let Some(device) = &what.device else { return Ok(vec![what.clone()]) };
    let mut found = names.devices_called(device);
    if let Ok(device @ Device::Mac(_)) = device.parse() {
        found.extend(ids(&device, Some(&store.device_key()?)));
    }
    // An import may have brought an identifier that is somebody's name too.
    if is_id(device) || in_memory || store.knows_device(device)? {
        found.push(device.clone());
    }
    if found.is_empty() {
        return Err(Unmeant::Unknown(device.clone()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(|device| Forget { device: Some(device), ..what.clone() }).collect())
}

/// All that a diary may know a device by: it has hashes from before `keep_mac` was set, or hardware
/// addresses from before it was unset.
fn ids(device: &Device, key: Option<&DeviceKey>) -> Vec<String> {
    match (device, key) {
        (Device::Mac(_), Some(key)) => [false, true].map(|keep| device.known_as(|mac| key.name(mac, keep))).to_vec(),
        (Device::Mac(mac), None) => vec![mac.to_string()],
        (Device::Id(id), _) => vec![id.clone()],
    }
}

/// Whether it has the form of an identifier: to forget it once more is no slip.
fn is_id(text: &str) -> bool {
    text.strip_prefix("dev-").is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "00:53:00:12:34:56";

    fn said(devices: &[(&str, &str)]) -> config::Names {
        let devices = devices.iter().map(|(device, name)| (device.parse().unwrap(), (*name).to_owned())).collect();
        config::Names { devices, ..config::Names::default() }
    }

    #[test]
    fn a_device_has_its_name_by_hash_and_by_address() {
        let key = DeviceKey::from_bytes([7; 32]);
        let hash = key.id([0, 0x53, 0, 0x12, 0x34, 0x56]);
        let names = names(&said(&[(MAC, "printer"), ("dev-00000001", "tv")]), &[], Some(&key));
        assert_eq!(
            [&hash, MAC, "dev-00000001"].map(|id| names.device(id)),
            [Some("printer"), Some("printer"), Some("tv")]
        );
    }

    #[test]
    fn a_device_is_forgotten_by_name_by_address_and_by_identifier() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let key = store.device_key().unwrap();
        let hash = key.id([0, 0x53, 0, 0x12, 0x34, 0x56]);
        let names = names(&said(&[(MAC, "Printer"), ("dev-00000001", "printer"), ("camera", "eye")]), &[], Some(&key));
        let mut means = |text: &str, in_memory| {
            meant(&Forget::parse(text), &names, &mut store, in_memory)
                .map(|all| all.into_iter().map(|forget| forget.device.unwrap()).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        let mut printers = vec![MAC.to_owned(), "dev-00000001".to_owned(), hash.clone()];
        printers.sort_unstable();
        assert_eq!(means("printer", false), Ok(printers.clone()), "case makes no difference, as in a filter");
        assert_eq!(means("eye", false), Ok(vec!["camera".to_owned()]));
        assert_eq!(means("dev-ffffffff", false), Ok(vec!["dev-ffffffff".to_owned()]));
        printers.retain(|id| id != "dev-00000001");
        assert_eq!(means(MAC, false), Ok(printers));
        assert_eq!(means("pritner", true), Ok(vec!["pritner".to_owned()]));
        let error = means("pritner", false).unwrap_err();
        assert!(
            error.starts_with("no device is called pritner, neither in the configuration nor in the diary"),
            "{error}"
        );
    }
}
