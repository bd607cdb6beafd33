//! What the ledger goes by, and what it counts.

use ipnet::Ipv6Net;

use crate::time::Span;

/// What the ledger goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Locals in these prefixes are meant to be reached: probes of them are no evidence.
    pub public: Vec<Ipv6Net>,
    /// How long a temporary address stays valid after its last use. 7 days, as Linux has it.
    pub validity: Span,
    /// How far back the ledger looks; `None`: all that was observed counts.
    pub window: Option<Span>,
    /// Locals kept. A row takes about 100 bytes with its index.
    pub max_locals: usize,
    /// Contacts kept. A row takes about 80 bytes with its index.
    pub max_contacts: usize,
    /// Probes kept. A row takes about 170 bytes with its index.
    pub max_probes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            public: Vec::new(),
            validity: Span::from_days(7),
            window: None,
            max_locals: 200_000,
            max_contacts: 10_000_000,
            max_probes: 1_000_000,
        }
    }
}

impl Settings {
    /// For a running sensor: a window of 30 days.
    #[must_use]
    pub fn live() -> Settings {
        Settings { window: Some(Span::from_days(30)), max_contacts: 2_000_000, ..Settings::default() }
    }
}

/// What came in and what had to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Contacts observed.
    pub contacts: u64,
    /// Probes observed.
    pub probes: u64,
    /// Answers observed.
    pub answers: u64,
    /// UDP probes set aside because the sensor had just started.
    pub settling: u64,
    /// UDP probes that were none: the local had just sent from that port or to that source.
    pub not_probes: u64,
    /// Locals that left to make room.
    pub evicted_locals: u64,
    /// Contacts that left to make room.
    pub evicted_contacts: u64,
    /// Probes that left to make room.
    pub evicted_probes: u64,
}
