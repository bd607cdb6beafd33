//! Names of programs and maps, as `bpftool` shows them: at most 15 characters. The object bears
//! them as the names of its functions and statics; a test compares.

/// XDP at ingress, for drivers and kernels with multi-buffer packets (5.18).
pub const INGRESS: &str = "tattler_ingress";
/// The same for older kernels and drivers without.
pub const INGRESS_LINEAR: &str = "tattler_linear";
/// TC at egress.
pub const EGRESS: &str = "tattler_egress";
/// The parser alone, run on crafted packets by tests; never attached.
pub const CLASSIFY: &str = "tattler_test";

/// Home prefixes: longest prefix match, 1 ours, 0 excluded.
pub const HOME: &str = "HOME";
/// Interface index to [`Link`](crate::Link).
pub const LINKS: &str = "LINKS";
/// Exchanges begun inside.
pub const FLOWS: &str = "FLOWS";
/// Exchanges begun outside, apart, so that outsiders can't evict ours.
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
/// What [`CLASSIFY`] found.
pub const CLASSIFIED: &str = "CLASSIFIED";
