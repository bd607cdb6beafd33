//! The sentences of an explanation: the meaning of the verdict, and the counts.

use super::Explanation;
use super::rivals::{Weight, is_held};
use crate::attribution::figures::TwoByTwo;
use crate::attribution::{Rival, Verdict};
use crate::report::Candidate;
use crate::time::Span;
use crate::words::{duration, instant, list, p_value, percent, plural, times, were};

/// The meaning of the verdict, in one or two sentences.
pub(super) fn headline(explanation: &Explanation) -> String {
    let Some(candidate) = &explanation.candidate else { return no_candidate(explanation) };
    let titles = |weight: Weight| -> Vec<String> {
        explanation.rivals_that_are(weight).map(|rival| rival.title().to_owned()).collect()
    };
    // A requested prefix counts as one remote.
    let is_set = explanation.may_be(Rival::OneOfSeveral) && candidate.members.len() > 1;
    let it = if is_set {
        format!("One of {} remotes that can't be told apart", candidate.members.len())
    } else {
        "It".to_owned()
    };
    let them = if is_set { "them" } else { "it" };
    match candidate.verdict {
        Verdict::Confirmed => {
            "It passes on addresses: one that was used only for a contact with it was probed.".to_owned()
        }
        Verdict::Strong => format!(
            "{it} passes on the addresses that contact {them}, or somebody who sees that traffic does: probes follow far \
            more often than by chance, and no other explanation was found."
        ),
        Verdict::Suspected => {
            let open = titles(Weight::Open);
            let but = match open.as_slice() {
                [] => "the model is not sure enough of it".to_owned(),
                open => format!("still open: {}", list(open)),
            };
            format!(
                "{it} probably passes on the addresses that contact {them}: probes follow more often than by chance. \
                That is not certain ({but})."
            )
        }
        Verdict::Weak => match titles(Weight::Likelier).as_slice() {
            [] if candidate.probability.is_some_and(|probability| probability >= 0.5) => {
                "Not accused: much points to it, but an accusation needs every test, and one is missing (see chance)."
                    .to_owned()
            }
            [] if candidate.evidence.is_some_and(|evidence| evidence > 0.0) => {
                "Not accused: something points to it, but it is not enough to name it.".to_owned()
            }
            [] => "Not accused: chance, or what those days had in common, explains the probes well enough.".to_owned(),
            better => format!("Not accused: better explained by {}.", list(better)),
        },
        Verdict::ProbesBack => {
            "Not accused: it probes those that contact it, from its own address. That proves no leak: \
                                some services (mail, FTP, IRC) check their clients, and sources can be forged."
                .to_owned()
        }
        Verdict::NotIdentifiable => {
            let others = explanation.table.map_or(0, |table| table.others_probed + table.others_spared);
            let all = candidate.contacted + others;
            format!(
                "Can't be told: {} of {} temporary addresses ({}) contacted it, so there is nothing to compare them with.",
                candidate.contacted,
                all,
                percent(candidate.contacted as f64 / all.max(1) as f64),
            )
        }
    }
}

fn no_candidate(explanation: &Explanation) -> String {
    let visitors = explanation.visits.len() as u64 + explanation.visits_left_out;
    if explanation.table.is_some() {
        return "Nothing speaks against it: no temporary address was probed after it had contacted it.".to_owned();
    }
    if visitors > 0 {
        return "Can't be told: no temporary address contacted it. Addresses that can be guessed or may be published are \
        probed without any leak."
            .to_owned();
    }
    match (explanation.window.from, explanation.window.to) {
        (Some(from), Some(to)) => format!(
            "Not seen: no local address contacted it from {} to {}, so it can't have learned one by that.",
            instant(from),
            instant(to)
        ),
        _ => "Not seen: nothing at all was observed in this time.".to_owned(),
    }
}

/// The counts as sentences. `within`: a contact counts if it is at most this long before the probe.
pub(super) fn counted(explanation: &Explanation, within: Option<Span>) -> Vec<String> {
    let mut says = Vec::new();
    if let Some(counts) = explanation.table {
        table(explanation, counts, &mut says);
    }
    if let Some(candidate) = &explanation.candidate {
        tests(explanation, candidate, within, &mut says);
    }
    if explanation.own_probes > 0 {
        says.push(format!("It sent {} itself.", plural(explanation.own_probes, "probe", "probes")));
    }
    says
}

/// Adds sentences about the 2x2 table and its odds ratio.
fn table(explanation: &Explanation, table: TwoByTwo, says: &mut Vec<String>) {
    let visited = table.contacted_probed + table.contacted_spared;
    let others = table.others_probed + table.others_spared;
    let share = |n: u64, of: u64| percent(n as f64 / of.max(1) as f64);
    let by = by(explanation);
    let same = if by.is_empty() { "" } else { " by the same" };
    let mut text = format!(
        "{} contacted it; {} of them ({}) {} then probed{}.",
        plural(visited, "temporary address", "temporary addresses"),
        table.contacted_probed,
        share(table.contacted_probed, visited),
        were(table.contacted_probed),
        by,
    );
    if others > 0 {
        text += &format!(
            " Of {} that had not contacted it by then, {} ({}) {} probed{same}.",
            plural(others, "address", "addresses"),
            table.others_probed,
            share(table.others_probed, others),
            were(table.others_probed),
        );
    }
    says.push(text);
    if let Some(odds) = explanation.odds
        && table.contacted_probed > 0
    {
        let [low, high] = odds.interval_95.map(|x| times(x.ln()));
        let note = if odds.corrected { ", 0.5 added to each cell because one is 0" } else { "" };
        says.push(format!(
            "The odds to be probed are {} times as high for those that contacted it (95 % interval {low} to {high}{note}).",
            times(odds.ratio.ln()),
        ));
    }
}

/// Adds sentences about the tests, the size of the effect and the timing.
fn tests(explanation: &Explanation, candidate: &Candidate, within: Option<Span>, says: &mut Vec<String>) {
    if candidate.verdict == Verdict::ProbesBack {
        says.push("That is about probes of others; its own are apart.".to_owned());
        return;
    }
    let within = within.filter(|within| within.0 != i64::MAX);
    if let Some(p) = candidate.fisher_p {
        says.push(format!(
            "Fisher's exact test of the table, which knows no times and nothing of other remotes: p {}, not corrected.",
            p_value(p)
        ));
    }
    says.extend(candidate.score.map(|score| comparison(score, explanation, candidate, within)));
    says.extend(candidate.evidence.map(|evidence| model(evidence, candidate)));
    if let Some(share) = candidate.leak_probability {
        let interval = candidate.leak_interval_95;
        let interval = interval.map(|[low, high]| format!(" (95 % interval {} to {})", percent(low), percent(high)));
        says.push(format!(
            "If it leaks, {} of the contacts with it lead to a probe{}.",
            percent(share),
            interval.unwrap_or_default()
        ));
    }
    if let Some(lag) = candidate.median_lag_seconds {
        says.push(format!(
            "From the last contact with it to the first of these probes it took {} (median).",
            duration(lag)
        ));
    }
    if candidate.verdict.accuses() {
        let devices = candidate.devices.map(|n| format!(" on {}", plural(n, "device", "devices"))).unwrap_or_default();
        says.push(format!(
            "It explains {} of {}{devices}{}.",
            plural(candidate.explained_probes, "probe", "probes"),
            plural(candidate.explained_locals, "address", "addresses"),
            within.map(|w| format!(", those probed within {} of a contact", duration(w.seconds()))).unwrap_or_default(),
        ));
    }
    says.push(format!(
        "The count of 2015 (addresses that had contacted it before anybody probed them) is {}. It ranks remotes that \
         all contact first, and is shown for comparison only.",
        candidate.distinct_count,
    ));
}

/// The sentence about the matched comparison.
fn comparison(score: f64, explanation: &Explanation, candidate: &Candidate, within: Option<Span>) -> String {
    let within =
        within.map(|w| format!(", counting contacts in the last {}", duration(w.seconds()))).unwrap_or_default();
    let hypotheses = plural(explanation.hypotheses, "hypothesis tested", "hypotheses tested");
    let p = p_value(10f64.powf(-score));
    let held = if is_held(candidate) {
        ", held there since a second comparison, with the nearest in time alone, does not confirm it"
    } else {
        ""
    };
    format!(
        "Each probed address compared with others that had contacted as many remotes by then{within}, corrected for \
         {hypotheses}: p {p}{held}. An accusation needs 0.01 or less."
    )
}

/// The sentence about the likelihood ratio of the model.
fn model(evidence: f64, candidate: &Candidate) -> String {
    if evidence > 0.0 {
        format!(
            "The model of contacts, lags and background finds the probes {} times as likely if it leaks as if not \
             (after a discount for having picked among so many).{}",
            times(evidence),
            if candidate.verdict == Verdict::Weak { " An accusation needs the comparison as well." } else { "" },
        )
    } else {
        "The model of contacts, lags and background finds no more for it than the best of so many remotes gets by \
         chance."
            .to_owned()
    }
}

fn by(explanation: &Explanation) -> String {
    match explanation.candidate.as_ref().map(|candidate| candidate.campaigns.as_slice()) {
        None | Some([]) => String::new(),
        Some(few) if few.len() <= 4 => format!(" by {}", list(few)),
        Some(many) => format!(" by {} scanners", many.len()),
    }
}
