//! What the ledger goes by, and what it counts.

use ipnet::Ipv6Net;

use crate::time::Span;

/// What the ledger goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
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
    /// For a running sensor: a window of 30 days.
    #[must_use]
    pub fn live() -> LedgerSettings {
        LedgerSettings { window: Some(Span::from_days(30)), max_contacts: 2_000_000, ..LedgerSettings::default() }
    }
}

/// What came in and what had to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
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
    /// Of these, evidence of a leak.
    pub evicted_evidence: u64,
}

impl LedgerCounts {
    /// In one sentence, that rows left which verdicts go by.
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
