//! The user's names for devices and prefixes.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// Names from the configuration. Without names, reports show addresses and identifiers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    devices: HashMap<String, String>,
    /// Labels by prefix length. Look-ups iterate backwards, so they find the longest prefix first.
    prefixes: BTreeMap<u8, HashMap<Ipv6Addr, String>>,
    public: Vec<Ipv6Net>,
}

impl Names {
    /// Names the device with the identifier `id`.
    pub fn name_device(&mut self, id: impl Into<String>, name: impl Into<String>) {
        self.devices.insert(id.into(), name.into());
    }

    /// Labels a prefix. A label of a longer prefix inside this prefix takes precedence.
    pub fn label_prefix(&mut self, prefix: Ipv6Net, label: impl Into<String>) {
        self.prefixes.entry(prefix.prefix_len()).or_default().insert(prefix.network(), label.into());
    }

    /// Marks locals in `prefix` as public: meant to be reached from outside.
    pub fn mark_public(&mut self, prefix: Ipv6Net) {
        self.public.push(prefix);
    }

    /// The name of a device.
    #[must_use]
    pub fn device(&self, id: &str) -> Option<&str> {
        self.devices.get(id).map(String::as_str)
    }

    /// Identifiers of the devices with this name. Case is ignored, as in filters.
    #[must_use]
    pub fn devices_called(&self, name: &str) -> Vec<String> {
        let name = name.to_lowercase();
        self.devices.iter().filter(|(_, of)| of.to_lowercase() == name).map(|(id, _)| id.clone()).collect()
    }

    /// The label of the longest prefix that contains `address`.
    #[must_use]
    pub fn label(&self, address: Ipv6Addr) -> Option<&str> {
        self.prefixes.iter().rev().find_map(|(&length, labels)| {
            let network = Ipv6Net::new(address, length).ok()?.network();
            labels.get(&network).map(String::as_str)
        })
    }

    /// The prefixes of public locals.
    #[must_use]
    pub fn public(&self) -> &[Ipv6Net] {
        &self.public
    }

    /// Whether a local is public.
    #[must_use]
    pub fn is_public(&self, local: Ipv6Addr) -> bool {
        self.public.iter().any(|prefix| prefix.contains(&local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_gives_the_label() {
        let mut names = Names::default();
        names.label_prefix("2a05::/32".parse().unwrap(), "a hoster");
        names.label_prefix("2a05:0:0:1::9/64".parse().unwrap(), "a customer");
        let label = |address: &str| names.label(address.parse().unwrap());
        assert_eq!(label("2a05:0:0:1::5"), Some("a customer"));
        assert_eq!(label("2a05:0:0:2::5"), Some("a hoster"));
        assert_eq!(label("2a06::"), None);
    }

    #[test]
    fn a_device_without_a_name_has_none() {
        let mut names = Names::default();
        names.name_device("aa:bb", "printer");
        assert_eq!((names.device("aa:bb"), names.device("cc:dd")), (Some("printer"), None));
    }
}
