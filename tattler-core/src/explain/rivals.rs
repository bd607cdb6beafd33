//! Rival explanations of the probes, each with its weight and the reason.

use serde::{Deserialize, Serialize};

use super::Explanation;
use super::facts::Facts;
use crate::attribution::finding::Finding;
use crate::attribution::group_test::WINDOWS;
use crate::attribution::select::ALPHA;
use crate::attribution::{Rival, Verdict};
use crate::report::Candidate;
use crate::words::{duration, p_value, percent, plural, remote_name, times, were};

/// The weight of a rival explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The rival explains the evidence better than the remote does.
    Likelier,
    /// The data allow the rival.
    Open,
    /// The data needed to decide about the rival are missing.
    Unknown,
    /// The rival assumes more than was observed.
    Unlikely,
    /// The data speak against the rival.
    RuledOut,
}

impl Weight {
    /// The word for the weight in texts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Weight::Likelier => "likelier",
            Weight::Open => "open",
            Weight::Unknown => "not known",
            Weight::Unlikely => "unlikely",
            Weight::RuledOut => "ruled out",
        }
    }
}

/// A rival explanation with its weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// The rival: chance, another-remote, or a name of [`Rival`].
    pub rival: String,
    /// The weight of the rival.
    pub weight: Weight,
    /// The reason for the weight.
    pub why: String,
}

impl Weighed {
    fn new(rival: &str, weight: Weight, why: String) -> Weighed {
        Weighed { rival: rival.to_owned(), weight, why }
    }

    fn of(rival: Rival, weight: Weight, why: String) -> Weighed {
        Weighed::new(rival.as_str(), weight, why)
    }

    /// The name of the rival within a sentence.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self.rival.as_str() {
            "chance" => "chance",
            "another-remote" => "another remote",
            "few-locals" => "an accident of few addresses",
            "one-device" => "a device that gives itself away",
            "device-itself" => "the device, whatever it contacts",
            "on-path" => "a listener on the path, or the resolver",
            "timing-alone" => "somebody who times probes to frame it",
            "many-sites" => "one of many sites behind one address",
            "one-of-several" => "a remote that can't be told from it",
            _ => "something else",
        }
    }
}

impl Explanation {
    /// The rivals with this weight.
    pub(super) fn rivals_that_are(&self, weight: Weight) -> impl Iterator<Item = &Weighed> {
        self.rivals.iter().filter(move |rival| rival.weight == weight)
    }

    /// Whether a rival is neither unlikely nor ruled out.
    pub(super) fn may_be(&self, rival: Rival) -> bool {
        let is_possible = |w: Weight| matches!(w, Weight::Likelier | Weight::Open | Weight::Unknown);
        self.rivals.iter().any(|weighed| weighed.rival == rival.as_str() && is_possible(weighed.weight))
    }
}

/// Weighs the rivals, the likeliest first.
pub(super) fn weigh(facts: &Facts) -> Vec<Weighed> {
    let mut all = match facts.finding.verdict {
        _ if facts.candidate.is_none() => Vec::new(),
        Verdict::ProbesBack | Verdict::NotIdentifiable => Vec::new(),
        Verdict::Weak if !is_judged(facts) => {
            // Attribution judges the other rivals only if more points to the remote.
            let mut few = vec![chance(facts)];
            few.extend(another_remote(facts));
            let few_open = [few_locals(facts), one_device(facts)].into_iter().filter(|w| w.weight == Weight::Open);
            // A single address always belongs to one device.
            few.extend(few_open.filter(|w| probed(facts) > 1 || w.rival != Rival::OneDevice.as_str()));
            few.extend(busy_device(facts));
            few.extend((facts.finding.groups.len() > 1).then(|| one_of_several(facts)));
            few.extend(everything_probed(facts));
            few
        }
        _ => {
            let mut all = vec![chance(facts)];
            all.extend(another_remote(facts));
            all.extend([few_locals(facts), one_device(facts), on_path(facts), timing(facts), many_sites(facts)]);
            all.extend(device_itself(facts));
            all.push(one_of_several(facts));
            all
        }
    };
    all.sort_by_key(|weighed| weighed.weight as u8);
    all
}

/// Whether attribution weighed the rivals of this remote. It does if much evidence points to the remote.
fn is_judged(facts: &Facts) -> bool {
    let probability = facts.candidate.as_ref().and_then(|candidate| candidate.probability);
    facts.finding.verdict.accuses() || !facts.finding.rivals.is_empty() || probability.is_some_and(|p| p >= 0.1)
}

/// Whether the comparison alone suffices for an accusation.
fn is_named(facts: &Facts) -> bool {
    facts.finding.verdict.accuses() || facts.finding.score >= -ALPHA.log10()
}

fn has(facts: &Facts, rival: Rival) -> bool {
    facts.finding.rivals.contains(&rival)
}

fn probed(facts: &Facts) -> u64 {
    facts.figures.explained_locals.len() as u64
}

/// Whether the score is capped just below an accusation. This happens when the comparison with the controls nearest
/// in time does not confirm the score.
pub(super) fn is_held(candidate: &Candidate) -> bool {
    let held = -(2.0 * ALPHA).log10();
    candidate.score.is_some_and(|score| (score - held).abs() < 1e-9)
}

fn chance(facts: &Facts) -> Weighed {
    let p = p_value(10f64.powf(-facts.finding.score));
    let tested = facts.findings.attribution.hypotheses as u64;
    let corrected = format!("corrected for {}", plural(tested, "hypothesis tested", "hypotheses tested"));
    if is_named(facts) {
        Weighed::new("chance", Weight::RuledOut, format!("p {p}, {corrected}."))
    } else if facts.candidate.as_ref().is_some_and(is_held) {
        let why = "compared with only those nearest in time, it does not stand out enough: the days may be the reason, \
        and not the remote.";
        Weighed::new("chance", Weight::Open, why.to_owned())
    } else {
        let why = format!("among so many remotes some look like this: p {p}, {corrected}; an accusation needs 0.01.");
        Weighed::new("chance", Weight::Open, why)
    }
}

fn another_remote(facts: &Facts) -> Option<Weighed> {
    let (rank, other, both) = facts.better()?;
    let name = other.members.first().filter(|_| other.members.len() == 1);
    let name = name.map_or_else(|| remote_name(other.prefix), ToString::to_string);
    let verdict = other.verdict.as_str();
    let visitors = plural(probed(facts), "probed visitor", "probed visitors");
    let shared = format!("{both} of its {visitors} had contacted {name} before (rank {rank}, {verdict})");
    Some(if facts.finding.verdict.accuses() {
        let why = format!("{shared}, but that one does not explain all of them.");
        Weighed::new("another-remote", Weight::Unlikely, why)
    } else {
        let weight = if both * 2 > probed(facts) { Weight::Likelier } else { Weight::Open };
        Weighed::new("another-remote", weight, format!("{shared}, which explains them better."))
    })
}

fn few_locals(facts: &Facts) -> Weighed {
    let n = probed(facts);
    let addresses = plural(n, "address", "addresses");
    if has(facts, Rival::FewLocals) || n < 3 {
        let why = format!("only {addresses} {} probed after the contact; 3 are needed.", were(n));
        Weighed::of(Rival::FewLocals, Weight::Open, why)
    } else {
        let why = format!("{addresses} {} probed after the contact.", were(n));
        Weighed::of(Rival::FewLocals, Weight::RuledOut, why)
    }
}

fn one_device(facts: &Facts) -> Weighed {
    match facts.figures.devices {
        None => {
            let why = "which device an address belongs to is not known, so one device may be behind all of it: software \
                       on it could report its address over other ways, IPv4 among them.";
            Weighed::of(Rival::OneDevice, Weight::Unknown, why.to_owned())
        }
        Some(1) => {
            let why = "all probed visitors are one device: software on it may report its address over ways that are not \
                       seen here.";
            Weighed::of(Rival::OneDevice, Weight::Open, why.to_owned())
        }
        Some(n) => {
            let why = format!("the probed visitors are {n} devices, so it is not one device that gives itself away.");
            Weighed::of(Rival::OneDevice, Weight::RuledOut, why)
        }
    }
}

fn device_itself(facts: &Facts) -> Option<Weighed> {
    (facts.figures.devices == Some(1)).then(|| {
        if has(facts, Rival::DeviceItself) {
            let why = "the device's other addresses, which had not contacted it, were probed about as often.";
            Weighed::of(Rival::DeviceItself, Weight::Likelier, why.to_owned())
        } else {
            let why = "the device's other addresses, which had not contacted it, were probed less.";
            Weighed::of(Rival::DeviceItself, Weight::RuledOut, why.to_owned())
        }
    })
}

/// For a remote without weighed rivals: the rival that one device gets most of all hits.
fn busy_device(facts: &Facts) -> Option<Weighed> {
    let (hits, all_hits, addresses) = facts.most_hit_device()?;
    let (share, fair) = (hits as f64 / all_hits as f64, addresses as f64 / facts.tested as f64);
    (hits >= 3 && share >= 0.5 && share >= 2.0 * fair).then(|| {
        let why = format!(
            "{hits} of all {all_hits} probed addresses are of one device, which has {addresses} of the {} addresses: it \
            may give itself away, whatever it contacts.",
            facts.tested
        );
        Weighed::of(Rival::DeviceItself, Weight::Likelier, why)
    })
}

/// For a remote without weighed rivals: the rival that most locals are probed.
fn everything_probed(facts: &Facts) -> Option<Weighed> {
    let hits = facts.findings.attribution.pooled.list.len() as u64;
    // No remote stands out by the model or the comparison.
    let stands_out = |finding: &Finding| finding.verdict.accuses() || finding.evidence > 0.0 || finding.score > 0.3;
    let any = facts.findings.attribution.findings.iter().any(stands_out);
    (hits >= 3 && hits * 2 >= facts.tested && !any).then(|| {
        let why = format!(
            "{hits} of all {} addresses were probed, whatever they had contacted: somebody may see all your traffic or \
            your look-ups.",
            facts.tested
        );
        Weighed::of(Rival::OnPath, Weight::Likelier, why)
    })
}

fn on_path(facts: &Facts) -> Weighed {
    if has(facts, Rival::OnPath) {
        let why = "the model, once it allows for probes after contacts with anybody, no longer needs it: somebody who \
        sees all your traffic, or your look-ups, explains them as well.";
        let weight = if is_named(facts) { Weight::Likelier } else { Weight::Open };
        Weighed::of(Rival::OnPath, weight, why.to_owned())
    } else {
        let why = format!(
            "contacts with others are not followed by probes like these: the model, which allows for that, still finds \
             the probes {} times as likely with it as without. (A listener close to it can't be told from it.)",
            times(facts.finding.evidence)
        );
        Weighed::of(Rival::OnPath, Weight::RuledOut, why)
    }
}

fn timing(facts: &Facts) -> Weighed {
    let (n, all) = (facts.contacted(), facts.tested);
    let share = percent(n as f64 / all.max(1) as f64);
    if has(facts, Rival::TimingAlone) {
        let window = WINDOWS[facts.finding.window];
        let within = if window.0 == i64::MAX {
            String::new()
        } else {
            format!(" (probes within {} of a contact)", duration(window.seconds()))
        };
        let why = format!(
            "{n} of {all} addresses ({share}) contacted it, so the evidence is timing alone{within}. An attacker who \
             knows your addresses could time probes so as to frame it."
        );
        Weighed::of(Rival::TimingAlone, Weight::Open, why)
    } else {
        let why = format!(
            "only {n} of {all} addresses ({share}) contacted it: to frame it, somebody would have to know which ones did."
        );
        Weighed::of(Rival::TimingAlone, Weight::Unlikely, why)
    }
}

fn many_sites(facts: &Facts) -> Weighed {
    if has(facts, Rival::ManySites) {
        let why = "its address belongs to a content network (CDN) and serves many sites: which site leaks, or \
                   whether the network does, can't be told.";
        Weighed::of(Rival::ManySites, Weight::Open, why.to_owned())
    } else {
        let why = "the catalogue lists no content network (CDN) at its address.";
        Weighed::of(Rival::ManySites, Weight::Unlikely, why.to_owned())
    }
}

fn one_of_several(facts: &Facts) -> Weighed {
    let n = facts.figures.members.len();
    if has(facts, Rival::OneOfSeveral) || facts.finding.groups.len() > 1 {
        let few: Vec<String> = facts.addresses().iter().take(4).map(ToString::to_string).collect();
        let more = if n > few.len() { format!(" and {} more", n - few.len()) } else { String::new() };
        let why = format!(
            "one of these {n}, contacted by the same addresses at the same times: {}{more}. It may be any of them.",
            few.join(", ")
        );
        Weighed::of(Rival::OneOfSeveral, Weight::Open, why)
    } else {
        let why = "no other remote was contacted by the same addresses at the same times.";
        Weighed::of(Rival::OneOfSeveral, Weight::RuledOut, why.to_owned())
    }
}
