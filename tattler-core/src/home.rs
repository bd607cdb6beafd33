//! Home: the prefixes that are ours, derived from the addresses and routes of this machine (docs/rules.md).

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::Link;
use sensor_common::rules::is_global;

/// Minimum length of a home prefix. Shorter prefixes are in fact default routes, such as 2000::/3, which VPNs set.
const SHORTEST: u8 = 16;
/// Device type of the loopback device: ARPHRD_LOOPBACK.
const LOOPBACK: u16 = 772;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkDevice {
    /// Name of the device.
    pub name: String,
    /// Index of the device.
    pub index: u32,
    /// Device type: ARPHRD_* of linux/if_arp.h.
    pub kind: u16,
}

impl NetworkDevice {
    /// The link layer of the device's packets; `None` for device types that are not watched.
    #[must_use]
    pub fn link(&self) -> Option<Link> {
        match self.kind {
            // Ethernet and loopback.
            1 | 772 => Some(Link::Ethernet),
            // PPP, ip6tnl, tunnel, sit, ipgre, ip6gre, rawip; ARPHRD_NONE (tun, WireGuard).
            512 | 768 | 769 | 776 | 778 | 823 | 519 | 65534 => Some(Link::Raw),
            _ => None,
        }
    }
}

/// An IPv6 address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The device's index.
    pub device: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// The length of the address's on-link prefix.
    pub prefix_len: u8,
    /// Whether the address is temporary (RFC 8981).
    pub temporary: bool,
}

/// An IPv6 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination.
    pub prefix: Ipv6Net,
    /// The device's index, 0 if the route has no device.
    pub device: u32,
    /// Whether the route is unreachable: DHCPv6 clients set such a route for the unused part of a delegated prefix.
    pub refuses: bool,
}

/// Devices, addresses and routes of this machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkState {
    /// Devices of this machine.
    pub devices: Vec<NetworkDevice>,
    /// Indices of the devices that are up.
    pub up: Vec<u32>,
    /// IPv6 addresses of this machine.
    pub addresses: Vec<InterfaceAddress>,
    /// IPv6 routes of the main table.
    pub routes: Vec<Route>,
}

impl NetworkState {
    /// The device with this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&NetworkDevice> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The devices of the IPv6 default routes. These devices are the uplinks if no uplinks are configured.
    #[must_use]
    pub fn default_uplinks(&self) -> Vec<NetworkDevice> {
        let leads_out = |device: &&NetworkDevice| {
            self.routes.iter().any(|r| r.prefix.prefix_len() == 0 && !r.refuses && r.device == device.index)
        };
        self.devices.iter().filter(leads_out).cloned().collect()
    }
}

/// A change of devices, IPv6 addresses or IPv6 routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The device with this index was deleted or moved to another namespace. Another device may already use the
    /// index.
    Gone(u32),
    /// An address was added or changed.
    Address(InterfaceAddress),
    /// A route was added or changed.
    Route(Route),
    /// Something else changed, or may have changed.
    Changed,
}

/// A prefix, and whether the prefix is ours. The longest matching prefix decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HomePrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// `true`: the prefix is ours; `false`: the prefix is excluded.
    pub ours: bool,
}

/// The user's settings for home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HomeSettings {
    /// If not empty, only these prefixes are home, and netlink is ignored.
    pub only: Vec<Ipv6Net>,
    /// More home prefixes, for example the outside prefix of a translation. No route shows that prefix.
    pub add: Vec<Ipv6Net>,
    /// Prefixes that are not home, even if netlink finds home prefixes inside them.
    pub exclude: Vec<Ipv6Net>,
}

/// The home prefixes, sorted.
///
/// A prefix is ours if it is routed inside: networks on devices other than the uplinks, routes to such devices, and
/// delegated prefixes. The unused part of a delegated prefix has an unreachable route. On an uplink only the
/// addresses of this machine are ours, since hosters put many customers into one /64.
#[must_use]
pub fn home(network: &NetworkState, uplinks: &[NetworkDevice], settings: &HomeSettings) -> Vec<HomePrefix> {
    let mut home: Vec<HomePrefix> = Vec::new();
    if settings.only.is_empty() {
        found(network, uplinks, &mut home);
    } else {
        home.extend(settings.only.iter().map(|prefix| HomePrefix { prefix: prefix.trunc(), ours: true }));
    }
    for exclude in settings.exclude.iter().map(Ipv6Net::trunc) {
        home.retain(|home| !exclude.contains(&home.prefix));
        home.push(HomePrefix { prefix: exclude, ours: false });
    }
    home.extend(settings.add.iter().map(|prefix| HomePrefix { prefix: prefix.trunc(), ours: true }));
    // If an inside device and an uplink share a prefix, the prefix is ours: `true` sorts last.
    home.sort();
    home.reverse();
    home.dedup_by_key(|home| home.prefix);
    home.reverse();
    home
}

/// Indices of the devices that are not uplinks and have a global address of ours.
#[must_use]
pub fn inside(network: &NetworkState, uplinks: &[NetworkDevice]) -> HashSet<u32> {
    let leads_out = network.default_uplinks();
    let outside = |index: &u32| uplinks.iter().chain(&leads_out).any(|uplink| uplink.index == *index);
    let loopback = |index: &u32| network.devices.iter().any(|d| d.index == *index && d.kind == LOOPBACK);
    let addresses = network.addresses.iter().filter(|a| is_global(&a.address.octets())).map(|a| a.device);
    addresses.filter(|index| !outside(index) && !loopback(index)).collect()
}

/// The home prefixes that follow from a single change, before the whole network is read again: networks of devices
/// that are known to be inside, and unreachable routes. Any other device may be an uplink, on which only the address
/// itself is ours.
#[must_use]
pub fn arrived(news: News, inside: &HashSet<u32>, settings: &HomeSettings) -> Vec<HomePrefix> {
    let mut network = NetworkState::default();
    match news {
        News::Address(address) if inside.contains(&address.device) => network.addresses.push(address),
        News::Address(address) => network.addresses.push(InterfaceAddress { prefix_len: 128, ..address }),
        News::Route(route) if route.refuses || inside.contains(&route.device) => network.routes.push(route),
        _ => return Vec::new(),
    }
    let mut home = home(&network, &[], settings);
    home.retain(|home| home.ours);
    home
}

/// Whether an address is home: the longest matching prefix decides, as in the kernel.
#[must_use]
pub fn is_home(home: &[HomePrefix], address: Ipv6Addr) -> bool {
    let matching = home.iter().filter(|home| home.prefix.contains(&address));
    matching.max_by_key(|home| home.prefix.prefix_len()).is_some_and(|home| home.ours)
}

fn found(network: &NetworkState, uplinks: &[NetworkDevice], home: &mut Vec<HomePrefix>) {
    // An uplink that is not watched is outside too.
    let leads_out = network.default_uplinks();
    let outside = |index: u32| uplinks.iter().chain(&leads_out).any(|uplink| uplink.index == index);
    let loopback = |index: u32| network.devices.iter().any(|d| d.index == index && d.kind == LOOPBACK);
    let global = |address: Ipv6Addr| is_global(&address.octets());

    for address in network.addresses.iter().filter(|a| global(a.address)) {
        let network = Ipv6Net::new(address.address, address.prefix_len).unwrap_or(host(address.address)).trunc();
        if !outside(address.device) {
            home.push(HomePrefix { prefix: network, ours: true });
        } else {
            home.push(HomePrefix { prefix: host(address.address), ours: true });
            if network.prefix_len() < 128 {
                home.push(HomePrefix { prefix: network, ours: false });
            }
        }
    }
    for route in network.routes.iter().filter(|r| r.prefix.prefix_len() >= SHORTEST && global(r.prefix.network())) {
        if route.refuses || !outside(route.device) && !loopback(route.device) {
            home.push(HomePrefix { prefix: route.prefix.trunc(), ours: true });
        }
    }
}

fn host(address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::from(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: u32, kind: u16) -> NetworkDevice {
        NetworkDevice { name: format!("if{index}"), index, kind }
    }

    fn router() -> NetworkState {
        let address = |device, address: &str, prefix_len| InterfaceAddress {
            device,
            address: address.parse().unwrap(),
            prefix_len,
            temporary: false,
        };
        let route = |prefix: &str, device, refuses| Route { prefix: prefix.parse().unwrap(), device, refuses };
        NetworkState {
            devices: vec![device(1, LOOPBACK), device(2, 1), device(3, 1), device(4, 65534)],
            addresses: vec![
                address(1, "::1", 128),
                address(2, "2001:db8:ffff::2", 64),
                address(2, "fe80::2", 64),
                address(3, "2001:db8:1:1::1", 64),
                address(3, "fd00::1", 64),
                address(3, "fe80::3", 64),
            ],
            routes: vec![
                route("::/0", 2, false),
                route("2001:db8:1::/56", 1, true),
                route("2001:db8:1:1::/64", 3, false),
                route("2001:db8:2::/64", 4, false),
                route("2001:db8:ffff::/64", 2, false),
                route("2000::/3", 4, false),
            ],
            ..NetworkState::default()
        }
    }

    fn shown(home: &[HomePrefix]) -> Vec<String> {
        home.iter().map(|h| format!("{}{}", if h.ours { "" } else { "not " }, h.prefix)).collect()
    }

    #[test]
    fn of_a_new_address_on_an_uplink_the_network_is_not_home() {
        let (network, uplinks) = (router(), [device(2, 1)]);
        let inside = inside(&network, &uplinks);
        assert_eq!(inside, HashSet::from([3]));
        let address = |device| InterfaceAddress {
            device,
            address: "2001:db8:43:1::5".parse().unwrap(),
            prefix_len: 64,
            temporary: false,
        };
        let route =
            |device, refuses| News::Route(Route { prefix: "2001:db8:43::/56".parse().unwrap(), device, refuses });
        let arrived = |news| shown(&arrived(news, &inside, &HomeSettings::default()));
        assert_eq!(arrived(News::Address(address(3))), ["2001:db8:43:1::/64"]);
        assert_eq!(arrived(News::Address(address(2))), ["2001:db8:43:1::5/128"]);
        assert_eq!(arrived(route(3, false)), ["2001:db8:43::/56"]);
        assert_eq!(arrived(route(1, true)), ["2001:db8:43::/56"], "a delegation");
        assert!(arrived(route(2, false)).is_empty() && arrived(route(9, false)).is_empty());
        let local = InterfaceAddress { address: "fd00::1".parse().unwrap(), ..address(3) };
        assert!(arrived(News::Address(local)).is_empty());
        let settings = HomeSettings { exclude: vec!["2001:db8:43::/48".parse().unwrap()], ..HomeSettings::default() };
        assert!(super::arrived(News::Address(address(3)), &inside, &settings).is_empty());
        let settings = HomeSettings { only: vec!["2001:db8:1::/48".parse().unwrap()], ..HomeSettings::default() };
        assert_eq!(shown(&super::arrived(News::Address(address(3)), &inside, &settings)), ["2001:db8:1::/48"]);
    }

    #[test]
    fn lan_delegated_and_vpn_prefixes_are_home() {
        let found = home(&router(), &[device(2, 1)], &HomeSettings::default());
        assert_eq!(
            shown(&found),
            [
                "2001:db8:1::/56",
                "2001:db8:1:1::/64",
                "2001:db8:2::/64",
                "not 2001:db8:ffff::/64",
                "2001:db8:ffff::2/128",
            ]
        );
    }

    #[test]
    fn the_prefix_of_an_unwatched_uplink_is_not_home() {
        let mut network = router();
        network.devices.push(device(5, 1));
        let other = |address: &str| InterfaceAddress {
            device: 5,
            address: address.parse().unwrap(),
            prefix_len: 64,
            temporary: false,
        };
        network.addresses.push(other("2001:db8:eeee::2"));
        network.routes.push(Route { prefix: "::/0".parse().unwrap(), device: 5, refuses: false });
        let shown = shown(&home(&network, &[device(2, 1)], &HomeSettings::default()));
        assert!(shown.contains(&"not 2001:db8:eeee::/64".to_owned()), "{shown:?}");
    }

    #[test]
    fn a_prefix_inside_and_on_the_uplink_is_home() {
        let mut network = router();
        network.addresses.push(InterfaceAddress {
            device: 3,
            address: "2001:db8:ffff::3".parse().unwrap(),
            prefix_len: 64,
            temporary: false,
        });
        assert!(
            shown(&home(&network, &[device(2, 1)], &HomeSettings::default()))
                .contains(&"2001:db8:ffff::/64".to_owned())
        );
    }

    #[test]
    fn configured_prefixes_replace_those_of_netlink() {
        let set = HomeSettings { only: vec!["2001:db8:5::1/48".parse().unwrap()], ..HomeSettings::default() };
        assert_eq!(shown(&home(&router(), &[device(2, 1)], &set)), ["2001:db8:5::/48"]);
    }

    #[test]
    fn a_host_without_networks_inside_has_only_its_own_addresses() {
        let mut network = router();
        network.addresses.retain(|a| a.device != 3);
        network.routes.retain(|r| r.device == 2);
        let found = home(&network, &[device(2, 1)], &HomeSettings::default());
        assert_eq!(shown(&found), ["not 2001:db8:ffff::/64", "2001:db8:ffff::2/128"]);
    }

    #[test]
    fn added_prefixes_are_home_and_excluded_ones_are_not() {
        let settings = HomeSettings {
            add: vec!["2001:db8:1:1:8000::/65".parse().unwrap(), "2001:db8:7::/48".parse().unwrap()],
            exclude: vec!["2001:db8:1:1::1/64".parse().unwrap()],
            ..HomeSettings::default()
        };
        let found = home(&router(), &[device(2, 1)], &settings);
        let is_home = |address: &str| super::is_home(&found, address.parse().unwrap());
        assert!(is_home("2001:db8:1:2::5") && is_home("2001:db8:7::5"));
        assert!(!is_home("2001:db8:1:1::5"), "{found:?}");
        assert!(is_home("2001:db8:1:1:8000::5"), "the longer prefix decides");
        assert!(!is_home("2a05::1"));
    }

    #[test]
    fn the_networks_of_two_uplinks_are_not_home() {
        let mut network = router();
        network.addresses.push(InterfaceAddress {
            device: 4,
            address: "2001:db8:eeee::2".parse().unwrap(),
            prefix_len: 64,
            temporary: false,
        });
        let found = home(&network, &[device(2, 1), device(4, 1)], &HomeSettings::default());
        let is_home = |address: &str| super::is_home(&found, address.parse().unwrap());
        assert!(is_home("2001:db8:1:1::5") && is_home("2001:db8:ffff::2") && is_home("2001:db8:eeee::2"));
        assert!(!is_home("2001:db8:ffff::3") && !is_home("2001:db8:eeee::3"));
        assert!(!is_home("2001:db8:2::1"), "a route to an uplink leads outside");
    }
}
