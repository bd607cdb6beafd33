//! The settings of the ledger, and its counters.

use ipnet::Ipv6Net;

use crate::time::Span;

/// The settings of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// Prefixes of public locals, which are meant to be reached: probes of these locals are no evidence.
    pub public: Vec<Ipv6Net>,
    /// Time for which a temporary address stays valid after its last use. 7 days, as in Linux.
    pub validity: Span,
    /// Length of the window, the period that the ledger covers; `None`: the ledger covers all observations.
    pub window: Option<Span>,
    /// Maximum number of locals. A row takes about 100 bytes with its index.
    pub max_locals: usize,
    /// Maximum number of contacts. A row takes about 80 bytes with its index.
    pub max_contacts: usize,
    /// Maximum number of probes. A row takes about 170 bytes with its index.
    pub max_probes: usize,
}

impl Default for LedgerSettings {
    fn default() -> LedgerSettings {
        LedgerSettings {
            public: Vec::new(),
            validity: Span::from_days(7),
            window: None,
            max_locals: 200_000,
            max_contacts: 10_000_000,
            max_probes: 1_000_000,
        }
    }
}

impl LedgerSettings {
    /// Settings for a running sensor: a window of 30 days.
    #[must_use]
    pub fn live() -> LedgerSettings {
        LedgerSettings { window: Some(Span::from_days(30)), max_contacts: 2_000_000, ..LedgerSettings::default() }
    }
}

/// Numbers of observations and of evicted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Number of contacts observed.
    pub contacts: u64,
    /// Number of probes observed.
    pub probes: u64,
    /// Number of answers observed.
    pub answers: u64,
    /// Number of UDP probes that do not count because the sensor had just started.
    pub settling: u64,
    /// Number of UDP packets that were not probes: the local had just sent from that port or to that source.
    pub not_probes: u64,
    /// Number of locals evicted to make room.
    pub evicted_locals: u64,
    /// Number of contacts evicted to make room.
    pub evicted_contacts: u64,
    /// Number of probes evicted to make room.
    pub evicted_probes: u64,
    /// Number of evicted probes that were evidence of a leak.
    pub evicted_evidence: u64,
}

impl LedgerCounts {
    /// A sentence that says that rows were evicted on which verdicts depend; `None` if no such rows were evicted.
    #[must_use]
    pub fn caveat(&self) -> Option<String> {
        let LedgerCounts { evicted_contacts: contacts, evicted_evidence: evidence, .. } = *self;
        (contacts > 0 || evidence > 0).then(|| {
            format!(
                "Memory for the window is full: {contacts} contacts and {evidence} probes that are evidence were \
                 dropped, so verdicts may be too weak."
            )
        })
    }
}
