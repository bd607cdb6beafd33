//! Names that the owner gave to devices and prefixes.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// Names by the configuration. Empty by default: then addresses and identifiers stand for
/// themselves.
#[derive(Clone, Debug, Default)]
pub struct Names {
    devices: HashMap<String, String>,
    /// By length, longest first when walked backwards.
    prefixes: BTreeMap<u8, HashMap<Ipv6Addr, String>>,
    public: Vec<Ipv6Net>,
}

impl Names {
    /// Names the device that observations know by `id`.
    pub fn name_device(&mut self, id: impl Into<String>, name: impl Into<String>) {
        self.devices.insert(id.into(), name.into());
    }

    /// Names a prefix; a longer one inside it takes precedence.
    pub fn label_prefix(&mut self, prefix: Ipv6Net, label: impl Into<String>) {
        self.prefixes.entry(prefix.prefix_len()).or_default().insert(prefix.network(), label.into());
    }

    /// Locals in `prefix` are meant to be reached.
    pub fn mark_public(&mut self, prefix: Ipv6Net) {
        self.public.push(prefix);
    }

    /// The name of a device.
    #[must_use]
    pub fn device(&self, id: &str) -> Option<&str> {
        self.devices.get(id).map(String::as_str)
    }

    /// The devices that have this name; case makes no difference, as in filters.
    #[must_use]
    pub fn devices_called(&self, name: &str) -> Vec<String> {
        let name = name.to_lowercase();
        self.devices.iter().filter(|(_, of)| of.to_lowercase() == name).map(|(id, _)| id.clone()).collect()
    }

    /// The label of the longest prefix that holds `address`.
    #[must_use]
    pub fn label(&self, address: Ipv6Addr) -> Option<&str> {
        self.prefixes.iter().rev().find_map(|(&length, labels)| {
            let network = Ipv6Net::new(address, length).ok()?.network();
            labels.get(&network).map(String::as_str)
        })
    }

    /// The prefixes whose locals are meant to be reached.
    #[must_use]
    pub fn public(&self) -> &[Ipv6Net] {
        &self.public
    }

    /// Whether a local is meant to be reached.
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
