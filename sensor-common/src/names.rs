//! Names of programs and maps, as `bpftool` shows them: at most 15 characters. The functions and
//! statics of the object have the same names; a test compares.
//!
//! The link layer of a device decides which program is attached, so that no program has to look it up
//! for each packet.

/// XDP at ingress of an Ethernet device, for drivers and kernels with multi-buffer packets (5.18).
pub const INGRESS: &str = "tattler_xdp";
/// The same for older kernels, and drivers without multi-buffer packets.
pub const INGRESS_LINEAR: &str = "tattler_xdp_lin";
/// XDP at ingress of a device whose packets begin with the IP header; always in generic mode.
pub const INGRESS_RAW: &str = "tattler_xdp_raw";
/// TC at ingress of an Ethernet device that takes no XDP program.
pub const INGRESS_TC: &str = "tattler_tci";
/// The same where packets begin with the IP header.
pub const INGRESS_TC_RAW: &str = "tattler_tci_raw";
/// TC at egress of an Ethernet device.
pub const EGRESS: &str = "tattler_tce";
/// TC at egress of a device whose packets begin with the IP header.
pub const EGRESS_RAW: &str = "tattler_tce_raw";
/// The parser alone, run on crafted packets by tests; never attached, and not in a release.
pub const CLASSIFY: &str = "tattler_cls";
/// The same for packets that begin with the IP header.
pub const CLASSIFY_RAW: &str = "tattler_cls_raw";

/// Home prefixes: longest prefix match, 1 ours, 0 excluded.
pub const HOME: &str = "HOME";
/// Exchanges begun inside.
pub const FLOWS: &str = "FLOWS";
/// Exchanges begun outside. A separate map, so that outsiders can't evict ours.
pub const INBOUND: &str = "INBOUND";
/// Local UDP ports in use.
pub const PORTS: &str = "PORTS";
/// Locals and the remotes that they contacted.
pub const PAIRS: &str = "PAIRS";
/// Locals in use, and when they last were.
pub const LOCALS: &str = "LOCALS";
/// Probes seen before.
pub const REPEATS: &str = "REPEATS";
/// Budget for probes of targets that are not in use.
pub const BUDGETS: &str = "BUDGETS";
/// Counters, see [`counters`](crate::counters).
pub const COUNTERS: &str = "COUNTERS";
/// The ring of events.
pub const EVENTS: &str = "EVENTS";
/// The result of [`CLASSIFY`].
pub const CLASSIFIED: &str = "CLASSIFIED";

/// The maps that stay pinned when the sensor restarts.
pub const MAPS: [&str; 10] = [HOME, FLOWS, INBOUND, PORTS, PAIRS, LOCALS, REPEATS, BUDGETS, COUNTERS, EVENTS];
/// Their kinds, in the same order, as `bpftool` names them.
pub const KINDS: [&str; 10] = [
    "lpm_trie",
    "lru_hash",
    "lru_hash",
    "lru_hash",
    "lru_hash",
    "lru_hash",
    "lru_hash",
    "percpu_array",
    "percpu_array",
    "ringbuf",
];
