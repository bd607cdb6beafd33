//! A home as the kernel programs see it, a day at a time: events in the ring, new neighbours, the network as netlink
//! reports it.
//!
//! Each device has another temporary address every day (RFC 8981), and one in ten has another MAC address every day, as
//! telephones have. It contacts the remotes that it always contacts, new ones, and sometimes a harvester, whose scanner
//! probes the address some hours later. Others sweep the prefix. Every eleven days the provider delegates another
//! prefix. The homes of the crate `homes` have no sweeps of this size, no answers and no MAC addresses.

use std::net::Ipv6Addr;

use homes::SeededRandom;
use ipnet::Ipv6Net;
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Kind, Proto};
use tattler_core::home::{InterfaceAddress, NetworkDevice, NetworkState, Route};

use crate::netlink::Neighbour;

pub const SECOND: BootTime = 1_000_000_000;
pub const HOUR: BootTime = 3_600 * SECOND;
pub const DAY: BootTime = 24 * HOUR;

/// The interfaces to the provider and to the devices.
const WAN: u32 = 2;
const LAN: u32 = 3;
/// The number of remotes that each device always visits, and of all such remotes.
const ALWAYS: usize = 20;
const ALWAYS_OF: usize = 60;
/// The smallest and the largest number of new remotes of a device in a day.
const NEW: (usize, usize) = (30, 60);
/// Two in three of them are among this number of sites. The others are visited once.
const SITES: usize = 20_000;
/// Half of the devices visit the first harvester on a day, and a third the second.
pub const HARVESTERS: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2a05, 0, 0, 1, 0, 0, 0, 0x53), Ipv6Addr::new(0x2a05, 0, 0, 2, 0, 0, 0, 0x80)];
/// The share of a harvester's visitors that is probed.
const LEAKS: f64 = 0.6;
/// The mean time until then, in hours.
const LAG: f64 = 8.0;
/// Sweeps a day.
const SWEEPS: usize = 4;
/// Unused addresses that a sweep hits within the budgets of the kernel programs, for each device.
const SWEPT: usize = 38;
/// Probes of the router in a day, for each device.
const NOISE: usize = 10;
/// Days with one prefix.
const NUMBERED_FOR: u64 = 11;

/// See the module.
pub struct SoakHome {
    random: SeededRandom,
    devices: usize,
    /// Events of this and later days, in no order.
    later: Vec<Event>,
}

/// The events of a day.
pub struct DayOfEvents {
    /// In order of time.
    pub events: Vec<Event>,
    /// New neighbours, in order of time.
    pub neighbours: Vec<(BootTime, Neighbour)>,
    /// The network from midnight on.
    pub network: NetworkState,
}

impl SoakHome {
    pub fn new(devices: usize) -> SoakHome {
        SoakHome { random: SeededRandom::new("soak", devices, 11), devices, later: Vec::new() }
    }

    /// To be called for each day in turn, from day 0 of boot time on.
    pub fn day(&mut self, day: u64) -> DayOfEvents {
        let midnight = day * DAY;
        let mut neighbours = Vec::new();
        for device in 0..self.devices {
            let local = with(lan(day), self.random_iid());
            let since = self.device_day(device, local, midnight);
            let mac_of = if device.is_multiple_of(10) { day } else { 0 };
            let mac = [2, 0, (mac_of >> 8) as u8, mac_of as u8, 0, device as u8];
            // The device answers the router's neighbour solicitation.
            neighbours.push((since + SECOND, Neighbour { device: LAN, address: local, mac }));
        }
        (0..SWEEPS).for_each(|sweep| self.sweep(day, sweep));
        self.noise(day);
        let events = std::mem::take(&mut self.later);
        let (mut events, later) = events.into_iter().partition::<Vec<_>, _>(|event| event.time < midnight + DAY);
        self.later = later;
        // Packets to the previous prefix no longer arrive.
        let delegated = Ipv6Net::new_assert(delegated(day), 56);
        events.retain(|event| delegated.contains(&Ipv6Addr::from(event.local)));
        events.sort_by_key(|event| event.time);
        neighbours.sort_by_key(|&(at, _)| at);
        DayOfEvents { events, neighbours, network: network(day) }
    }

    /// The contacts of a device on a day. Returns when they begin.
    fn device_day(&mut self, device: usize, local: Ipv6Addr, midnight: BootTime) -> BootTime {
        let begin = midnight + self.time(HOUR);
        let end = midnight + DAY;
        for n in 0..ALWAYS {
            let number = (device * 7 + n * 3) % ALWAYS_OF;
            let meets = n == 0 && self.random.unit() < 0.5;
            let remote = if meets { HARVESTERS[0] } else { remote(0x2001_0db9, number as u128) };
            let mut at = begin + self.time(HOUR);
            self.leak(meets, 0, local, at);
            while at < end {
                self.contact(at, local, remote, if number.is_multiple_of(3) { Proto::Udp } else { Proto::Tcp });
                at += self.time(2 * HOUR) + 60 * SECOND;
            }
        }
        let new = NEW.0 + self.random.below(NEW.1 - NEW.0 + 1);
        for n in 0..new {
            let (meets, known) = (n == 0 && self.random.unit() < 0.33, self.random.unit() < 0.67);
            let remote = match (meets, known) {
                (true, _) => HARVESTERS[1],
                // Popular as 1/rank.
                (_, true) => remote(0x2600_1f00, (SITES as f64).powf(self.random.unit()) as u128),
                _ => remote(0x2a00_0000 + self.random.below(0x8_0000) as u32, self.random_iid().into()),
            };
            let mut at = begin + self.time(23 * HOUR);
            self.leak(meets, 1, local, at);
            for _ in 0..=self.random.below(5) {
                self.contact(at, local, remote, if known { Proto::Tcp } else { Proto::Udp });
                at += 60 * SECOND + self.time(600 * SECOND);
            }
        }
        begin
    }

    /// After a contact with a harvester, its scanner may probe, even if the address is no longer used.
    fn leak(&mut self, meets: bool, harvester: usize, local: Ipv6Addr, at: BootTime) {
        if !meets || self.random.unit() >= LEAKS {
            return;
        }
        let lag = -LAG * (1.0 - self.random.unit()).ln();
        let mut at = at + 600 * SECOND + (lag * HOUR as f64) as BootTime;
        let source = remote(0x2a0d_5600 + harvester as u32, 0x29 + self.random.below(4) as u128);
        for port in [0, 22, 80, 443, 8_080, 8_443, 3_389, 5_900] {
            let kind = if port == 0 { Kind::Echo } else { Kind::Syn };
            self.probe(at, source, local, kind, port, false);
            // Some devices answer pings, and one in forty has a port open.
            if port == 0 && self.random.unit() < 0.5 || port == 22 && self.random.unit() < 0.025 {
                self.answer(at + SECOND / 50, source, local, kind, port);
            }
            at += SECOND + self.time(20 * SECOND);
        }
    }

    /// A sweep of the prefix, by one source or with another source in each packet.
    fn sweep(&mut self, day: u64, number: usize) {
        let mut at = day * DAY + self.time(20 * HOUR);
        let network = remote(0x2602_0000 + self.random.below(0x1000) as u32, 1);
        for n in 0..SWEPT * self.devices {
            let source = if number == 0 { with(network, self.random_iid()) } else { network };
            let target = with(lan(day), if number == 1 { n as u64 + 0x100 } else { self.random_iid() });
            self.probe(at, source, target, Kind::Syn, [22, 443, 8_080, 23][number % 4], true);
            at += self.time(10 * SECOND);
        }
    }

    /// Probes of the router's own address, which answers pings.
    fn noise(&mut self, day: u64) {
        for _ in 0..NOISE * self.devices {
            let at = day * DAY + self.time(DAY - SECOND);
            let source = remote(0x2a10_0000 + self.random.below(0x10_0000) as u32, self.random_iid().into());
            let (kind, port) =
                [(Kind::Echo, 0), (Kind::Syn, 23), (Kind::Udp, 53), (Kind::Syn, 7_547)][self.random.below(4)];
            self.probe(at, source, router(day), kind, port, false);
            if kind == Kind::Echo {
                self.answer(at + SECOND / 1_000, source, router(day), kind, port);
            }
        }
    }

    fn contact(&mut self, time: BootTime, local: Ipv6Addr, remote: Ipv6Addr, proto: Proto) {
        self.later.push(Event {
            count: 1,
            local_port: 32_768 + self.random.below(28_000) as u16,
            remote_port: 443,
            what: What::Contact as u8,
            number: proto as u8,
            ..event(time, local, remote)
        });
    }

    fn probe(&mut self, time: BootTime, source: Ipv6Addr, target: Ipv6Addr, kind: Kind, port: u16, unused: bool) {
        self.later.push(Event {
            count: 1,
            local_port: port,
            remote_port: 1_024 + self.random.below(60_000) as u16,
            flow_label: self.random.below(1 << 20) as u32,
            hop_limit: 48 + self.random.below(4) as u8,
            window: 1_024,
            tcp_flags: 2,
            what: What::Probe as u8,
            number: kind as u8,
            unused: u8::from(unused),
            ..event(time, target, source)
        });
    }

    fn answer(&mut self, time: BootTime, source: Ipv6Addr, target: Ipv6Addr, kind: Kind, port: u16) {
        let (what, number) = (What::Answer as u8, kind as u8);
        self.later.push(Event { local_port: port, what, number, ..event(time, target, source) });
    }

    fn time(&mut self, below: BootTime) -> BootTime {
        (self.random.unit() * below as f64) as BootTime
    }

    fn random_iid(&mut self) -> u64 {
        (self.random.below(1 << 32) as u64) << 32 | self.random.below(1 << 32) as u64
    }
}

fn event(time: BootTime, local: Ipv6Addr, remote: Ipv6Addr) -> Event {
    Event { time, local: local.octets(), remote: remote.octets(), ifindex: WAN, ..Event::default() }
}

fn remote(network: u32, host: u128) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(network) << 96 | host)
}

/// The prefix that the provider delegates.
fn delegated(day: u64) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, (day / NUMBERED_FOR) as u16, 0x4200, 0, 0, 0, 0)
}

fn lan(day: u64) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(delegated(day)) | 1 << 64)
}

fn with(network: Ipv6Addr, iid: u64) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(network) >> 64 << 64 | u128::from(iid))
}

fn router(day: u64) -> Ipv6Addr {
    with(lan(day), 1)
}

fn network(day: u64) -> NetworkState {
    let device = |name: &str, index| NetworkDevice { name: name.to_owned(), index, kind: 1 };
    let route = |prefix, device, refuses| Route { prefix, device, refuses };
    let delegated = Ipv6Net::new_assert(delegated(day), 56);
    NetworkState {
        devices: vec![device("wan0", WAN), device("lan0", LAN)],
        up: vec![WAN, LAN],
        addresses: vec![InterfaceAddress { device: LAN, address: router(day), prefix_len: 64, temporary: false }],
        routes: vec![route(Ipv6Net::default(), WAN, false), route(delegated, 0, true)],
    }
}
