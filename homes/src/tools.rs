//! The tools of scanners, and the form of their probes.
//!
//! The tools resemble ZMap, masscan, nmap, ping and connecting scanners. The values need only be plausible, and
//! constant for a tool.

use std::net::Ipv6Addr;

use sensor_common::Kind;

use crate::random::SeededRandom;

/// A probe at its arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedProbe {
    /// Time of arrival.
    pub at: f64,
    /// The scanner's address.
    pub source: Ipv6Addr,
    /// The probed address.
    pub target: Ipv6Addr,
    /// ICMPv6 echo, TCP SYN or UDP.
    pub kind: Kind,
    /// The target's port, 0 for echo requests.
    pub port: u16,
    /// Hop limit at arrival.
    pub hop_limit: u8,
    /// The IPv6 flow label.
    pub flow_label: u32,
    /// The source's port. `None` for echo requests.
    pub source_port: Option<u16>,
    /// The identifier of an echo request.
    pub icmp_id: Option<u16>,
    /// Window and options of TCP.
    pub tcp: Option<(u16, &'static str)>,
    /// Length of the payload, and a hash of the payload.
    pub payload: (u16, &'static str),
}

/// The value of a field. `None`: a new random value in each probe.
type Fill = Option<u32>;

fn draw(fill: Fill, random: &mut SeededRandom) -> u32 {
    fill.unwrap_or_else(|| random.bits() as u32)
}

/// A tool, and how the tool's owner uses it.
pub struct Tool {
    kind: Kind,
    /// The ports that the tool probes; `[0]` for echo requests.
    pub ports: &'static [u16],
    hop_limit: u8,
    window: u16,
    options: &'static str,
    source_port: Fill,
    icmp_id: Fill,
    /// Length of the payload, and a hash of the payload.
    payload: (u16, &'static str),
    flow_label: Fill,
}

const SYN: Tool = Tool {
    kind: Kind::Syn,
    ports: &[22, 80, 443],
    hop_limit: 255,
    window: 65_535,
    options: "",
    source_port: None,
    icmp_id: Some(0),
    payload: (0, ""),
    flow_label: Some(0),
};
const ECHO: Tool = Tool { kind: Kind::Echo, ports: &[0], window: 0, ..SYN };
const UDP: Tool = Tool { kind: Kind::Udp, ports: &[53, 161], window: 0, payload: (40, "c0ffee01"), ..SYN };

/// The tools, by number. The first four tools belong to the scanners of the base plan.
const TOOLS: [Tool; 10] = [
    // ZMap-like, no options.
    SYN,
    // masscan-like.
    Tool { ports: &[21, 22, 23, 8080], window: 1_024, options: "mss", hop_limit: 250, ..SYN },
    // Pings with a constant identifier and no payload pattern.
    Tool { hop_limit: 64, icmp_id: Some(0x4d2), payload: (8, "5f3759df"), ..ECHO },
    // A program that connects, through the kernel's stack.
    Tool {
        ports: &[80, 443, 7547],
        window: 64_800,
        options: "mss,sackok,ts,nop,ws",
        hop_limit: 64,
        flow_label: None,
        ..SYN
    },
    // nmap-like.
    Tool {
        ports: &[22, 80, 443, 445, 3389],
        window: 1_024,
        options: "mss",
        source_port: Some(40_125),
        hop_limit: 59,
        ..SYN
    },
    // The payload of ping, and another identifier in each run.
    Tool { hop_limit: 64, icmp_id: None, payload: (56, "10111213"), flow_label: None, ..ECHO },
    UDP,
    Tool {
        ports: &[443, 8443],
        window: 29_200,
        options: "mss,nop,ws,sackok,ts",
        hop_limit: 128,
        flow_label: Some(0xfffff),
        ..SYN
    },
    Tool { ports: &[5_900, 3_389], window: 14_600, options: "mss,sackok", hop_limit: 128, ..SYN },
    // The operating system of peers.
    Tool {
        ports: &[51_413],
        window: 64_240,
        options: "mss,nop,ws,nop,nop,sackok",
        hop_limit: 128,
        flow_label: None,
        ..SYN
    },
];

/// The tool number of the operating system of peers.
pub const PEER: usize = 9;
/// The tool number of the service that checks for open proxies.
pub const PROXY_CHECK: usize = 3;
/// The tool number of the sweeper and of the content network.
pub const SWEEP: usize = 5;

/// A tool by its number.
pub fn tool(number: usize) -> &'static Tool {
    &TOOLS[number % TOOLS.len()]
}

impl Tool {
    /// A probe that passed `hops` routers.
    pub fn probe(
        &self,
        at: f64,
        source: Ipv6Addr,
        target: Ipv6Addr,
        port: u16,
        hops: u8,
        random: &mut SeededRandom,
    ) -> SimulatedProbe {
        let is_echo = self.kind == Kind::Echo;
        SimulatedProbe {
            at,
            source,
            target,
            kind: self.kind,
            port,
            hop_limit: self.hop_limit.saturating_sub(hops),
            flow_label: draw(self.flow_label, random) & 0xf_ffff,
            icmp_id: is_echo.then(|| draw(self.icmp_id, random) as u16),
            source_port: (!is_echo).then(|| draw(self.source_port, random) as u16 | 0x8000),
            tcp: (self.kind == Kind::Syn).then_some((self.window, self.options)),
            payload: self.payload,
        }
    }
}
