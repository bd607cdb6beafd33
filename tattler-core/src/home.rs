//! What is home: which prefixes are ours, by the addresses and routes of this machine (docs/rules.md).

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::Link;
use sensor_common::rules::is_global;

/// Shorter prefixes are default routes in disguise, as VPNs set them (2000::/3).
const SHORTEST: u8 = 16;
/// ARPHRD_LOOPBACK.
const LOOPBACK: u16 = 772;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// ARPHRD_* of linux/if_arp.h.
    pub kind: u16,
}

impl Device {
    /// What its packets begin with; `None` for types of devices that are not watched.
    #[must_use]
    pub fn link(&self) -> Option<Link> {
        match self.kind {
            // Ethernet and loopback.
            1 | 772 => Some(Link::Ethernet),
            // PPP, ip6tnl, tunnel, sit, ipgre, ip6gre, rawip, none (tun, WireGuard).
            512 | 768 | 769 | 776 | 778 | 823 | 519 | 65534 => Some(Link::Raw),
            _ => None,
        }
    }
}

/// An IPv6 address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The device's index.
    pub device: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// The length of its on-link prefix.
    pub prefix_len: u8,
    /// A temporary address (RFC 8981).
    pub temporary: bool,
}

/// An IPv6 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads to.
    pub prefix: Ipv6Net,
    /// The device's index, 0 if none.
    pub device: u32,
    /// Refuses packets: what prefix delegation leaves for the part that is not in use.
    pub refuses: bool,
}

/// The network at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Devices.
    pub devices: Vec<Device>,
    /// The indices of those that are up.
    pub up: Vec<u32>,
    /// IPv6 addresses of this machine.
    pub addresses: Vec<Address>,
    /// IPv6 routes of the main table.
    pub routes: Vec<Route>,
}

impl Network {
    /// The device with this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The devices of the IPv6 default routes: the uplinks, unless told otherwise.
    #[must_use]
    pub fn default_uplinks(&self) -> Vec<Device> {
        let leads_out = |device: &&Device| {
            self.routes.iter().any(|r| r.prefix.prefix_len() == 0 && !r.refuses && r.device == device.index)
        };
        self.devices.iter().filter(leads_out).cloned().collect()
    }
}

/// What is told of devices, IPv6 addresses and IPv6 routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The device with this index is gone: it was deleted, or moved to another namespace. Another one
    /// may have its index by now.
    Gone(u32),
    /// An address is there, or is another.
    Address(Address),
    /// A route is.
    Route(Route),
    /// Something is another, or may be.
    Changed,
}

/// A prefix, and whether it is ours; the longest prefix decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Ours, or excluded.
    pub ours: bool,
}

/// What the user says of home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// These alone are home, whatever netlink tells; empty for what netlink tells.
    pub only: Vec<Ipv6Net>,
    /// Home as well: the outside of a translation that no route shows, for one.
    pub add: Vec<Ipv6Net>,
    /// Not home, with all that netlink finds inside.
    pub exclude: Vec<Ipv6Net>,
}

impl Prefixes {
    /// These alone.
    #[must_use]
    pub fn only(prefixes: &[Ipv6Net]) -> Prefixes {
        Prefixes { only: prefixes.to_vec(), ..Prefixes::default() }
    }
}

/// The home prefixes, sorted.
///
/// Ours is what is routed inside: networks on devices other than the uplinks, routes that lead
/// there, and delegated prefixes, which a router refuses where they are not in use. On an uplink
/// itself only the addresses of this machine are ours: hosters put many customers into one /64.
#[must_use]
pub fn home(network: &Network, uplinks: &[Device], told: &Prefixes) -> Vec<Home> {
    let mut home: Vec<Home> = Vec::new();
    if told.only.is_empty() {
        found(network, uplinks, &mut home);
    } else {
        home.extend(told.only.iter().map(|prefix| Home { prefix: prefix.trunc(), ours: true }));
    }
    for exclude in told.exclude.iter().map(Ipv6Net::trunc) {
        home.retain(|home| !exclude.contains(&home.prefix));
        home.push(Home { prefix: exclude, ours: false });
    }
    home.extend(told.add.iter().map(|prefix| Home { prefix: prefix.trunc(), ours: true }));
    // Where inside and uplink share a prefix, inside wins: `true` sorts last.
    home.sort();
    home.reverse();
    home.dedup_by_key(|home| home.prefix);
    home.reverse();
    home
}

/// The devices behind this machine, by their index: they have a network of ours, and don't lead out.
#[must_use]
pub fn inside(network: &Network, uplinks: &[Device]) -> HashSet<u32> {
    let leads_out = network.default_uplinks();
    let outside = |index: &u32| uplinks.iter().chain(&leads_out).any(|uplink| uplink.index == *index);
    let loopback = |index: &u32| network.devices.iter().any(|d| d.index == *index && d.kind == LOOPBACK);
    let addresses = network.addresses.iter().filter(|a| is_global(&a.address.octets())).map(|a| a.device);
    addresses.filter(|index| !outside(index) && !loopback(index)).collect()
}

/// What is home by one piece of news alone, before the network is read as a whole: what comes to a
/// device that is known to be inside, or is refused. Another may be an uplink: there the address alone
/// is ours.
#[must_use]
pub fn arrived(news: News, inside: &HashSet<u32>, told: &Prefixes) -> Vec<Home> {
    let mut network = Network::default();
    match news {
        News::Address(address) if inside.contains(&address.device) => network.addresses.push(address),
        News::Address(address) => network.addresses.push(Address { prefix_len: 128, ..address }),
        News::Route(route) if route.refuses || inside.contains(&route.device) => network.routes.push(route),
        _ => return Vec::new(),
    }
    let mut home = home(&network, &[], told);
    home.retain(|home| home.ours);
    home
}

/// Whether an address is home: the longest prefix decides, as in the kernel.
#[must_use]
pub fn is_home(home: &[Home], address: Ipv6Addr) -> bool {
    let matching = home.iter().filter(|home| home.prefix.contains(&address));
    matching.max_by_key(|home| home.prefix.prefix_len()).is_some_and(|home| home.ours)
}

fn found(network: &Network, uplinks: &[Device], home: &mut Vec<Home>) {
    // Another uplink is outside as well, whether it is watched or not.
    let leads_out = network.default_uplinks();
    let outside = |index: u32| uplinks.iter().chain(&leads_out).any(|uplink| uplink.index == index);
    let loopback = |index: u32| network.devices.iter().any(|d| d.index == index && d.kind == LOOPBACK);
    let global = |address: Ipv6Addr| is_global(&address.octets());

    for address in network.addresses.iter().filter(|a| global(a.address)) {
        let network = Ipv6Net::new(address.address, address.prefix_len).unwrap_or(host(address.address)).trunc();
        if !outside(address.device) {
            home.push(Home { prefix: network, ours: true });
        } else {
            home.push(Home { prefix: host(address.address), ours: true });
            if network.prefix_len() < 128 {
                home.push(Home { prefix: network, ours: false });
            }
        }
    }
    for route in network.routes.iter().filter(|r| r.prefix.prefix_len() >= SHORTEST && global(r.prefix.network())) {
        if route.refuses || !outside(route.device) && !loopback(route.device) {
            home.push(Home { prefix: route.prefix.trunc(), ours: true });
        }
    }
}

fn host(address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::from(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: u32, kind: u16) -> Device {
        Device { name: format!("if{index}"), index, kind }
    }

    fn router() -> Network {
        let address = |device, address: &str, prefix_len| Address {
            device,
            address: address.parse().unwrap(),
            prefix_len,
            temporary: false,
        };
        let route = |prefix: &str, device, refuses| Route { prefix: prefix.parse().unwrap(), device, refuses };
        Network {
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
            ..Network::default()
        }
    }

    fn shown(home: &[Home]) -> Vec<String> {
        home.iter().map(|h| format!("{}{}", if h.ours { "" } else { "not " }, h.prefix)).collect()
    }

    #[test]
    fn what_comes_to_a_network_inside_is_home_at_once_and_of_an_uplink_only_the_address() {
        let (network, uplinks) = (router(), [device(2, 1)]);
        let inside = inside(&network, &uplinks);
        assert_eq!(inside, HashSet::from([3]));
        let address =
            |device| Address { device, address: "2001:db8:43:1::5".parse().unwrap(), prefix_len: 64, temporary: false };
        let route =
            |device, refuses| News::Route(Route { prefix: "2001:db8:43::/56".parse().unwrap(), device, refuses });
        let arrived = |news| shown(&arrived(news, &inside, &Prefixes::default()));
        assert_eq!(arrived(News::Address(address(3))), ["2001:db8:43:1::/64"]);
        assert_eq!(arrived(News::Address(address(2))), ["2001:db8:43:1::5/128"]);
        assert_eq!(arrived(route(3, false)), ["2001:db8:43::/56"]);
        assert_eq!(arrived(route(1, true)), ["2001:db8:43::/56"], "a delegation");
        assert!(arrived(route(2, false)).is_empty() && arrived(route(9, false)).is_empty());
        let local = Address { address: "fd00::1".parse().unwrap(), ..address(3) };
        assert!(arrived(News::Address(local)).is_empty());
        let told = Prefixes { exclude: vec!["2001:db8:43::/48".parse().unwrap()], ..Prefixes::default() };
        assert!(super::arrived(News::Address(address(3)), &inside, &told).is_empty());
        let told = Prefixes::only(&["2001:db8:1::/48".parse().unwrap()]);
        assert_eq!(shown(&super::arrived(News::Address(address(3)), &inside, &told)), ["2001:db8:1::/48"]);
    }

    #[test]
    fn lan_delegated_and_vpn_prefixes_are_home_and_the_uplinks_own_prefix_is_not() {
        let found = home(&router(), &[device(2, 1)], &Prefixes::default());
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
    fn the_prefix_of_another_uplink_that_is_not_watched_is_not_home() {
        let mut network = router();
        network.devices.push(device(5, 1));
        let other =
            |address: &str| Address { device: 5, address: address.parse().unwrap(), prefix_len: 64, temporary: false };
        network.addresses.push(other("2001:db8:eeee::2"));
        network.routes.push(Route { prefix: "::/0".parse().unwrap(), device: 5, refuses: false });
        let shown = shown(&home(&network, &[device(2, 1)], &Prefixes::default()));
        assert!(shown.contains(&"not 2001:db8:eeee::/64".to_owned()), "{shown:?}");
    }

    #[test]
    fn a_prefix_inside_and_on_the_uplink_is_home() {
        let mut network = router();
        network.addresses.push(Address {
            device: 3,
            address: "2001:db8:ffff::3".parse().unwrap(),
            prefix_len: 64,
            temporary: false,
        });
        assert!(
            shown(&home(&network, &[device(2, 1)], &Prefixes::default())).contains(&"2001:db8:ffff::/64".to_owned())
        );
    }

    #[test]
    fn prefixes_that_the_user_set_count_alone() {
        let set = ["2001:db8:5::1/48".parse().unwrap()];
        assert_eq!(shown(&home(&router(), &[device(2, 1)], &Prefixes::only(&set))), ["2001:db8:5::/48"]);
    }

    #[test]
    fn a_host_without_anything_inside_has_its_own_addresses_only() {
        let mut network = router();
        network.addresses.retain(|a| a.device != 3);
        network.routes.retain(|r| r.device == 2);
        let found = home(&network, &[device(2, 1)], &Prefixes::default());
        assert_eq!(shown(&found), ["not 2001:db8:ffff::/64", "2001:db8:ffff::2/128"]);
    }

    #[test]
    fn what_the_user_adds_is_home_and_what_is_excluded_is_not_with_all_inside() {
        let told = Prefixes {
            add: vec!["2001:db8:1:1:8000::/65".parse().unwrap(), "2001:db8:7::/48".parse().unwrap()],
            exclude: vec!["2001:db8:1:1::1/64".parse().unwrap()],
            ..Prefixes::default()
        };
        let found = home(&router(), &[device(2, 1)], &told);
        let is_home = |address: &str| super::is_home(&found, address.parse().unwrap());
        assert!(is_home("2001:db8:1:2::5") && is_home("2001:db8:7::5"));
        assert!(!is_home("2001:db8:1:1::5"), "{found:?}");
        assert!(is_home("2001:db8:1:1:8000::5"), "the more specific word counts");
        assert!(!is_home("2a05::1"));
    }

    #[test]
    fn two_uplinks_have_one_home_and_neither_of_their_own_networks() {
        let mut network = router();
        network.addresses.push(Address {
            device: 4,
            address: "2001:db8:eeee::2".parse().unwrap(),
            prefix_len: 64,
            temporary: false,
        });
        let found = home(&network, &[device(2, 1), device(4, 1)], &Prefixes::default());
        let is_home = |address: &str| super::is_home(&found, address.parse().unwrap());
        assert!(is_home("2001:db8:1:1::5") && is_home("2001:db8:ffff::2") && is_home("2001:db8:eeee::2"));
        assert!(!is_home("2001:db8:ffff::3") && !is_home("2001:db8:eeee::3"));
        assert!(!is_home("2001:db8:2::1"), "what is routed to an uplink is outside");
    }
}
