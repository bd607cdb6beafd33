//! The verdicts on a candidate, and the rivals: other explanations of the evidence.

use serde::{Deserialize, Serialize};

/// The verdict on a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A canary was hit.
    Confirmed,
    /// The comparison accuses the candidate, with ample evidence.
    Strong,
    /// The comparison accuses the candidate.
    Suspected,
    /// The candidate is ranked but not accused.
    Weak,
    /// The remote itself probes its visitors. It is listed, but not ranked as a leak.
    ProbesBack,
    /// Practically all locals contacted the candidate, so the data cannot decide.
    NotIdentifiable,
}

impl Verdict {
    /// Every verdict, in rank order.
    pub const ALL: [Verdict; 6] = [
        Verdict::Confirmed,
        Verdict::Strong,
        Verdict::Suspected,
        Verdict::Weak,
        Verdict::ProbesBack,
        Verdict::NotIdentifiable,
    ];

    /// The name of the verdict in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Confirmed => "confirmed",
            Verdict::Strong => "strong",
            Verdict::Suspected => "suspected",
            Verdict::Weak => "weak",
            Verdict::ProbesBack => "probes-back",
            Verdict::NotIdentifiable => "not-identifiable",
        }
    }

    /// Whether this verdict accuses.
    #[must_use]
    pub fn accuses(self) -> bool {
        matches!(self, Verdict::Confirmed | Verdict::Strong | Verdict::Suspected)
    }
}

/// Another explanation of the evidence against a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// The evidence has fewer than three addresses: this may be an accident.
    FewLocals,
    /// All evidence is from one device, which may reveal its addresses in other ways.
    OneDevice,
    /// The device's addresses were probed whether or not they had contacted the remote: the device is the better
    /// explanation.
    DeviceItself,
    /// Probes follow contacts with any remote equally well: the cause may be a listener on the path, or the resolver.
    OnPath,
    /// Most addresses contact the remote, so the evidence is timing alone. An attacker who times probes after
    /// contacts with a popular site can frame this site.
    TimingAlone,
    /// One address serves many sites: the data cannot show which of these sites leaks.
    ManySites,
    /// The data cannot tell several remotes apart: one of these remotes leaks.
    OneOfSeveral,
}

impl Rival {
    /// The name of the rival in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Rival::FewLocals => "few-locals",
            Rival::OneDevice => "one-device",
            Rival::DeviceItself => "device-itself",
            Rival::OnPath => "on-path",
            Rival::TimingAlone => "timing-alone",
            Rival::ManySites => "many-sites",
            Rival::OneOfSeveral => "one-of-several",
        }
    }

    /// Whether the rival explains the evidence better than the remote does.
    #[must_use]
    pub fn wins(self) -> bool {
        matches!(self, Rival::DeviceItself | Rival::OnPath)
    }

    /// Whether the rival keeps the verdict below [`Verdict::Strong`].
    pub(super) fn caps(self) -> bool {
        self != Rival::OneOfSeveral
    }
}
