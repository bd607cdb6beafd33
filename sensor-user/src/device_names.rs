//! Devices of the configuration, translated to the identifiers that one store has for them.

use ipnet::Ipv6Net;
use tattler_core::forget::Forget;
use tattler_core::names::Names;
use thiserror::Error;

use crate::config::{self, DeviceId};
use crate::store::{DeviceKey, Store, WriteError};

/// Why a device can't be resolved.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// No device has that name.
    #[error(
        "no device is called {0}, neither in the configuration nor in the diary; `tattler locals --by device` shows \
         those there are"
    )]
    Unknown(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] WriteError),
}

/// Excluded devices, by the identifiers that observations carry.
#[must_use]
pub fn excluded_devices(devices: &[DeviceId], key: &DeviceKey, keep_mac: bool) -> Vec<String> {
    devices.iter().map(|device| device.known_as(|mac| key.name(mac, keep_mac))).collect()
}

/// Names for people. A store without a key has no hashed identifiers.
#[must_use]
pub fn names(section: &config::NamesSection, public: &[Ipv6Net], key: Option<&DeviceKey>) -> Names {
    let mut names = Names::default();
    for (device, name) in &section.devices {
        for id in ids(device, key) {
            names.name_device(id, name);
        }
    }
    for (&prefix, name) in &section.prefixes {
        names.label_prefix(prefix, name);
    }
    for &prefix in public {
        names.mark_public(prefix);
    }
    names
}

/// Translates the device of a request to identifiers. It may be given by its configured name, by hardware
/// address or by identifier, and may have several identifiers. `in_memory`: the ledger knows a device with
/// that identifier.
///
/// # Errors
/// No device is called that: a typing error must not look like success.
pub fn resolve(what: &Forget, names: &Names, store: &mut Store, in_memory: bool) -> Result<Vec<Forget>, ResolveError> {
    let Some(device) = &what.device else { return Ok(vec![what.clone()]) };
    let mut found = names.devices_called(device);
    if let Ok(device @ DeviceId::Mac(_)) = device.parse() {
        found.extend(ids(&device, Some(&store.device_key()?)));
    }
    // An imported identifier may equal a configured name.
    if is_id(device) || in_memory || store.knows_device(device)? {
        found.push(device.clone());
    }
    if found.is_empty() {
        return Err(ResolveError::Unknown(device.clone()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(|device| Forget { device: Some(device), ..what.clone() }).collect())
}

/// All identifiers that a store may have for a device: hashes from before `keep_mac` was set, and hardware
/// addresses from before it was unset.
fn ids(device: &DeviceId, key: Option<&DeviceKey>) -> Vec<String> {
    match (device, key) {
        (DeviceId::Mac(_), Some(key)) => [false, true].map(|keep| device.known_as(|mac| key.name(mac, keep))).to_vec(),
        (DeviceId::Mac(mac), None) => vec![mac.to_string()],
        (DeviceId::Id(id), _) => vec![id.clone()],
    }
}

/// Whether the text has the form of an identifier. Forgetting it twice is no error.
fn is_id(text: &str) -> bool {
    text.strip_prefix("dev-").is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "00:53:00:12:34:56";

    fn said(devices: &[(&str, &str)]) -> config::NamesSection {
        let devices = devices.iter().map(|(device, name)| (device.parse().unwrap(), (*name).to_owned())).collect();
        config::NamesSection { devices, ..config::NamesSection::default() }
    }

    #[test]
    fn a_device_is_named_by_hash_and_by_address() {
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
            resolve(&Forget::parse(text), &names, &mut store, in_memory)
                .map(|all| all.into_iter().map(|forget| forget.device.unwrap()).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        let mut printers = vec![MAC.to_owned(), "dev-00000001".to_owned(), hash.clone()];
        printers.sort_unstable();
        assert_eq!(means("printer", false), Ok(printers.clone()), "ignores case, as filters do");
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
