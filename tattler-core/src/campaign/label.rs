//! The labels of a campaign, as data and as text.

use std::collections::{HashMap, HashSet};

use super::Campaign;
use super::rhythm::Rhythm;
use crate::ledger::AddrId;
use crate::time::Span;
use crate::view::frame::Frame;

/// A property of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Most probes of the campaign count hops.
    PathProbe,
    /// The campaign probes many unused targets.
    Sweep,
    /// Many sources use one list of targets, with few probes each.
    SlowAndSpreadOut,
    /// The catalogue knows the campaign's operator.
    KnownOperator,
    /// The rhythm of the campaign.
    Rhythm(Rhythm),
    /// This is not a campaign, but the probes of all excess campaigns, if there are too many campaigns.
    Remainder,
}

impl Label {
    /// The name of the label in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Label::PathProbe => "path-probe",
            Label::Sweep => "sweep",
            Label::SlowAndSpreadOut => "slow-and-spread-out",
            Label::KnownOperator => "known-operator",
            Label::Rhythm(rhythm) => rhythm.as_str(),
            Label::Remainder => "remainder",
        }
    }
}

/// The minimum number of prefixes, or of campaigns with one list of targets, that counts as spread out.
const SOURCES: usize = 8;
/// The minimum duration that counts as slow.
const SLOW: Span = Span::from_seconds(6 * 3_600);
/// The maximum average number of probes of each prefix or campaign.
const FEW: u64 = 32;

/// Whether the campaign has many prefixes with few probes each, over hours.
pub(super) fn is_slow_and_spread_out(campaign: &Campaign) -> bool {
    campaign.prefixes.len() >= SOURCES
        && campaign.probes <= FEW * campaign.prefixes.len() as u64
        && campaign.last - campaign.first >= SLOW
}

/// Labels small campaigns that try one set of ports on one list of targets, if there are too many such campaigns for
/// chance. These are machines with ordinary kernels under the control of one operator, and no fingerprint joins the
/// machines. They stay separate campaigns, since common targets are the outcome that attribution explains.
pub(super) fn mark_common_lists(frame: &Frame, list: &mut [Campaign]) {
    type Ports<'a> = (&'a [sensor_common::Kind], &'a [u16]);
    let mut alike: HashMap<Ports, Vec<usize>> = HashMap::new();
    for (i, campaign) in list.iter().enumerate() {
        if campaign.probes <= FEW && !campaign.is_path_probe {
            alike.entry((&campaign.kinds, &campaign.ports)).or_default().push(i);
        }
    }
    let mut marked = Vec::new();
    for members in alike.into_values().filter(|members| members.len() >= SOURCES) {
        let (first, last) = (members.iter().map(|&i| list[i].first).min(), members.iter().map(|&i| list[i].last).max());
        let is_slow = first.zip(last).is_some_and(|(first, last)| last - first >= SLOW);
        let pairs = members.iter().map(|&i| list[i].targets).sum::<usize>();
        let rows = members.iter().flat_map(|&i| &list[i].rows);
        let targets: HashSet<AddrId> = rows.map(|&row| frame.ledger.probes()[row as usize].target).collect();
        // On average, at least three of these campaigns try each target.
        if is_slow && pairs >= 3 * targets.len() {
            marked.extend(members);
        }
    }
    for i in marked {
        if !list[i].labels.contains(&Label::SlowAndSpreadOut) {
            list[i].labels.push(Label::SlowAndSpreadOut);
            list[i].labels.sort_unstable();
            list[i].label = text(&list[i]);
        }
    }
}

/// The labels as text: `sweep: echo, syn 22 80 443 from 2001:db8::/64`, `Censys: syn 443 from 2602:80d:1000::/64`.
pub(super) fn text(campaign: &Campaign) -> String {
    let mut what: Vec<String> = campaign.operator_named().into_iter().collect();
    for label in &campaign.labels {
        match label {
            Label::PathProbe => what.push("path probe".to_owned()),
            Label::Sweep => what.push("sweep".to_owned()),
            Label::SlowAndSpreadOut => what.push("slow and spread out".to_owned()),
            Label::Remainder => what.push("various".to_owned()),
            Label::KnownOperator | Label::Rhythm(_) => {}
        }
    }
    let what = if what.is_empty() { String::new() } else { what.join(", ") + ": " };
    let kinds: Vec<&str> = campaign.kinds.iter().map(|kind| kind.as_str()).collect();
    let ports = match campaign.ports.as_slice() {
        [] => String::new(),
        few if few.len() <= 4 => few.iter().map(|port| format!(" {port}")).collect(),
        many => format!(" {} ports", many.len()),
    };
    let from = match campaign.prefixes.as_slice() {
        [] => String::new(),
        [one] => format!(" from {one}"),
        many => format!(" from {} prefixes", many.len()),
    };
    format!("{what}{}{ports}{from}", kinds.join(", "))
}
