//! The evidence class of a probe, which depends on the target alone.

use sensor_common::IidClass;

use super::frame::{Frame, LocalClass};
use crate::ledger::ProbeRow;

/// The evidence class of a probe. The store never contains the class, so earlier probes are reclassified when more is
/// known about a local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// A temporary address in use: somebody passed the address on to the scanner.
    Exact,
    /// A temporary address whose last use is longer ago than its validity, or whose prefix was no longer home: the
    /// address came from a hitlist.
    Expired,
    /// A random address in use for longer than the lifetime of a temporary address: the address may be published.
    Stable,
    /// An address in use that is made from a MAC address.
    Eui64,
    /// A guessable address (RFC 7707).
    Guessable,
    /// A local that is configured as public.
    Public,
    /// An address that was not seen in use before the probe, with an identifier that sweeps try.
    UnusedPattern,
    /// An address that was not seen in use before the probe, with a random identifier.
    UnusedRandom,
}

impl Evidence {
    /// Classifies the first probe of a row.
    ///
    /// Only contacts before this probe count: the scanner cannot know an address that was not yet in use.
    #[must_use]
    pub fn of(frame: &Frame, row: &ProbeRow) -> Evidence {
        let unused = || match frame.ledger.local(row.target) {
            Some(local) if local.public => Evidence::Public,
            _ if is_public(frame, row) => Evidence::Public,
            _ => match IidClass::of(&frame.ledger.address(row.target).octets()) {
                IidClass::Random => Evidence::UnusedRandom,
                _ => Evidence::UnusedPattern,
            },
        };
        let Some(local) = frame.number(row.target) else { return unused() };
        let Some(index) = frame.contacted_before(local, row.first).checked_sub(1) else { return unused() };
        match frame.class(local) {
            LocalClass::Public => Evidence::Public,
            LocalClass::Eui64 => Evidence::Eui64,
            LocalClass::Guessable => Evidence::Guessable,
            LocalClass::Stable => Evidence::Stable,
            LocalClass::Temporary => {
                let idle = row.first - frame.firsts(local)[index].used_until;
                let over = idle > frame.ledger.settings().validity || frame.has_ended(local, row.first);
                if over { Evidence::Expired } else { Evidence::Exact }
            }
        }
    }

    /// Whether the target had not been seen in use.
    #[must_use]
    pub fn is_unused(self) -> bool {
        matches!(self, Evidence::UnusedPattern | Evidence::UnusedRandom)
    }

    /// The name of the class in JSON and tables. `sweep`: whether the campaign sweeps. If so, a random target is part
    /// of the sweep, and not a stray.
    #[must_use]
    pub fn as_str(self, sweep: bool) -> &'static str {
        match self {
            Evidence::Exact => "exact-hit",
            Evidence::Expired => "expired",
            Evidence::Stable => "stable",
            Evidence::Eui64 => "eui64",
            Evidence::Guessable => "guessable",
            Evidence::Public => "public",
            Evidence::UnusedPattern => "sweep",
            Evidence::UnusedRandom if sweep => "sweep",
            Evidence::UnusedRandom => "stray",
        }
    }
}

fn is_public(frame: &Frame, row: &ProbeRow) -> bool {
    let target = frame.ledger.address(row.target);
    frame.ledger.settings().public.iter().any(|net| net.contains(&target))
}
