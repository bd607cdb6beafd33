//! The lab's addresses. The home is in 2001:db8::/32, the internet in 3fff::/20; both are reserved for documentation.
//! Each remote has its own /32 unless noted otherwise.

use std::net::Ipv6Addr;

/// The prefix that the provider delegates to the home.
pub const HOME: &str = "2001:db8:42::/56";
/// The part of the delegated prefix that the router announces.
pub const LAN: &str = "2001:db8:42:1::/64";
pub const LAN_ROUTER: &str = "2001:db8:42:1::1/64";
/// The router's address on its link to the provider. The link's prefix is not part of the home.
pub const UPLINK_ROUTER: &str = "2001:db8:0:1::2";
pub const UPLINK_PROVIDER: &str = "2001:db8:0:1::1";
/// The interface that the sensor watches.
pub const UPLINK: &str = "wan0";

pub const HOSTS: usize = 5;

const POPULAR_SITES: u16 = 6;
const RARE_SITES: u16 = 8;
const POOL_SERVERS: u16 = 5;

/// The harvesters: one of the rare sites, and one server of the pool. Their addresses look like the other addresses.
const HARVESTING_SITE: u16 = 4;
const HARVESTING_SERVER: u16 = 2;

/// Sites that every address visits.
pub fn popular_sites() -> Vec<Ipv6Addr> {
    (1..=POPULAR_SITES).map(|number| address(0xa00 + number, 1, 0x80)).collect()
}

/// Sites that some addresses visit, including the harvesting site.
pub fn rare_sites() -> Vec<Ipv6Addr> {
    (1..=RARE_SITES).map(|number| address(0xb00 + number, 1, 0x80)).collect()
}

pub fn harvesting_site() -> Ipv6Addr {
    address(0xb00 + HARVESTING_SITE, 1, 0x80)
}

/// The servers of the NTP pool, including the harvesting server.
pub fn pool() -> Vec<Ipv6Addr> {
    (1..=POOL_SERVERS).map(|number| address(0xd00 + number, 0x10, 0x123)).collect()
}

pub fn harvesting_server() -> Ipv6Addr {
    address(0xd00 + HARVESTING_SERVER, 0x10, 0x123)
}

pub fn harvesters() -> [Ipv6Addr; 2] {
    [harvesting_server(), harvesting_site()]
}

/// A third party: a host from which pages of other sites load content, within a second after the page.
pub struct ThirdParty {
    pub address: Ipv6Addr,
    pub sites: Vec<Ipv6Addr>,
    /// Share of visits in which the page loads from this host. In the other visits the content is in the browser's
    /// cache.
    pub share: f64,
}

/// The third parties of the harvesting site's pages. Three are loaded at every visit, but other sites load them too.
/// One is loaded by no other site, but not at every visit. A third party that is loaded at every visit of one site, and
/// only there, could not be distinguished from that site.
pub fn third_parties() -> Vec<ThirdParty> {
    let party = |number: u16, with: &[u16], share| ThirdParty {
        address: address(0xc00 + number, 1, 0x80),
        sites: with.iter().chain(&[HARVESTING_SITE]).map(|site| address(0xb00 + site, 1, 0x80)).collect(),
        share,
    };
    vec![party(1, &[2], 1.0), party(2, &[1, 6], 1.0), party(3, &[1, 5, 7], 1.0), party(4, &[], 0.7)]
}

pub fn third_party_addresses() -> Vec<Ipv6Addr> {
    third_parties().into_iter().map(|party| party.address).collect()
}

/// All visited remotes except `harvesters`.
pub fn bystanders(harvesters: &[Ipv6Addr]) -> Vec<Ipv6Addr> {
    let visited = [popular_sites(), rare_sites(), third_party_addresses(), pool()].concat();
    visited.into_iter().filter(|remote| !harvesters.contains(remote)).collect()
}

/// The scanner of the time server. As in 2016, it is in another /64 of the server's provider.
pub fn server_scanner() -> [Ipv6Addr; 2] {
    [address(0xd00 + HARVESTING_SERVER, 0xa1, 0x18), address(0xd00 + HARVESTING_SERVER, 0xa1, 0x19)]
}

/// The scanner of the site. It is in another network, since the site sells its visitors' addresses.
pub fn site_scanner() -> [Ipv6Addr; 2] {
    [address(0xe05, 7, 0xa), address(0xe05, 7, 0xb)]
}

/// Three places of a content network that measures paths to its visitors.
pub fn path_probers() -> [Ipv6Addr; 3] {
    [address(0xe07, 1, 7), address(0xe07, 2, 7), address(0xe07, 3, 7)]
}

/// The sweepers. They scan the home's prefix and know no address in use.
pub fn sweepers() -> [Ipv6Addr; 2] {
    [address(0xf01, 1, 5), address(0xf02, 1, 9)]
}

fn address(provider: u16, network: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x3fff, provider, network, 0, 0, 0, 0, host)
}
