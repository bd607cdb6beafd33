//! What scanners' probes look like: the traits by which tools are told apart.
//!
//! Modelled on what is published of ZMap, masscan, nmap, ping and connecting scanners; the values
//! need only be plausible, and constant for a tool.

use sensor_common::Kind;
use tattler_core::observation::Traits;

use super::random::Random;

/// How a field of a probe is filled.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Fixed(u32),
    Random,
}

impl Fill {
    fn draw(self, random: &mut Random) -> u32 {
        match self {
            Fill::Fixed(value) => value,
            Fill::Random => random.bits() as u32,
        }
    }
}

/// A tool and how its owner uses it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// What its probes are.
    pub kind: Kind,
    /// The ports that it tries; `[0]` for echo requests.
    pub ports: &'static [u16],
    hop_limit: u8,
    window: u16,
    options: &'static str,
    source_port: Fill,
    icmp_id: Fill,
    payload: (u16, &'static str),
    flow_label: Fill,
}

const SYN: Tool = Tool {
    kind: Kind::Syn,
    ports: &[22, 80, 443],
    hop_limit: 255,
    window: 65_535,
    options: "",
    source_port: Fill::Random,
    icmp_id: Fill::Fixed(0),
    payload: (0, ""),
    flow_label: Fill::Fixed(0),
};
const ECHO: Tool = Tool { kind: Kind::Echo, ports: &[0], window: 0, ..SYN };
const UDP: Tool = Tool { kind: Kind::Udp, ports: &[53, 161], window: 0, payload: (40, "c0ffee01"), ..SYN };

/// The tools, by number. The first four belong to the scanners of the base plan.
const TOOLS: [Tool; 12] = [
    // ZMap-like, no options.
    SYN,
    // masscan-like.
    Tool { ports: &[21, 22, 23, 8080], window: 1_024, options: "mss", hop_limit: 250, ..SYN },
    // Pings with a constant identifier and no payload pattern.
    Tool { hop_limit: 64, icmp_id: Fill::Fixed(0x4d2), payload: (8, "5f3759df"), ..ECHO },
    // A program that connects, through the kernel's stack.
    Tool {
        ports: &[80, 443, 7547],
        window: 64_800,
        options: "mss,sackok,ts,nop,ws",
        hop_limit: 64,
        flow_label: Fill::Random,
        ..SYN
    },
    // nmap-like.
    Tool {
        ports: &[22, 80, 443, 445, 3389],
        window: 1_024,
        options: "mss",
        source_port: Fill::Fixed(40_125),
        hop_limit: 59,
        ..SYN
    },
    // ping's own payload, an identifier for each run.
    Tool { hop_limit: 64, icmp_id: Fill::Random, payload: (56, "10111213"), flow_label: Fill::Random, ..ECHO },
    UDP,
    Tool {
        ports: &[443, 8443],
        window: 29_200,
        options: "mss,nop,ws,sackok,ts",
        hop_limit: 128,
        flow_label: Fill::Fixed(0xfffff),
        ..SYN
    },
    Tool { ports: &[123, 1900], payload: (12, "deadbeef"), source_port: Fill::Fixed(57_005), ..UDP },
    Tool { ports: &[5_900, 3_389], window: 14_600, options: "mss,sackok", hop_limit: 128, ..SYN },
    Tool { hop_limit: 128, icmp_id: Fill::Fixed(1), payload: (32, "61626364"), ..ECHO },
    // What peers' operating systems send.
    Tool {
        ports: &[51_413],
        window: 64_240,
        options: "mss,nop,ws,nop,nop,sackok",
        hop_limit: 128,
        flow_label: Fill::Random,
        ..SYN
    },
];

/// What peers' operating systems send.
pub const PEER: usize = 11;
/// The tool of a service that looks for open proxies on its visitors.
pub const PROXY_CHECK: usize = 3;
/// The tool of the one who sweeps low addresses.
pub const SWEEP: usize = 5;

/// A tool by its number.
#[must_use]
pub fn tool(number: usize) -> &'static Tool {
    &TOOLS[number % TOOLS.len()]
}

impl Tool {
    /// The traits of one probe that came `hops` routers far.
    pub fn traits(&self, hops: u8, random: &mut Random) -> Traits {
        let mut traits = Traits {
            hop_limit: Some(self.hop_limit.saturating_sub(hops)),
            flow_label: Some(self.flow_label.draw(random) & 0xf_ffff),
            payload_len: Some(self.payload.0),
            payload_hash: (self.payload.0 > 0).then(|| self.payload.1.to_owned()),
            ..Traits::default()
        };
        match self.kind {
            Kind::Echo => {
                traits.icmp_id = Some(self.icmp_id.draw(random) as u16);
                traits.icmp_seq = Some(0);
            }
            Kind::Udp => traits.source_port = Some(self.source_port.draw(random) as u16 | 0x8000),
            _ => {
                traits.source_port = Some(self.source_port.draw(random) as u16 | 0x8000);
                traits.window = Some(self.window);
                traits.tcp_options = Some(self.options.to_owned());
                traits.tcp_flags = Some(2);
            }
        }
        traits
    }
}
