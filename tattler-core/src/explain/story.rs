//! An explanation as text: the verdict, the counts, rival explanations, steps that would settle the question, and the
//! contacts with the probes that followed.

use super::Explanation;
use super::LagBin;
use super::visits::{Followed, Visit};
use crate::attribution::Verdict;
use crate::report::layout::{WIDTH, finish, plain_table};
use crate::report::table::labelled;
use crate::words::{duration, instant, percent, plural, remote_name};

/// The most visits shown. The other formats have a thousand visits.
const VISITS: usize = 15;
/// The most probes shown for each visit.
const PROBES: usize = 3;
/// The most scanners listed.
const SCANNERS: usize = 8;
/// Characters for bars of one to eight eighths.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// An explanation as text.
#[must_use]
pub fn explanation_text(explanation: &Explanation) -> String {
    let name = remote_name(explanation.remote);
    let mut text = match &explanation.candidate {
        Some(c) => {
            let name = labelled(name, c);
            let rank = format!("{}, rank {} of {}", c.verdict.as_str(), c.rank, explanation.candidates);
            match c.probability {
                // An accusation needs more tests than the model alone.
                Some(probability) => {
                    let by = if c.verdict.accuses() { "" } else { " by the model alone" };
                    format!("{name}: {rank}, leaks with probability {}{by}\n", percent(probability))
                }
                None => format!("{name}: {rank}\n"),
            }
        }
        None => format!("{name}: not a candidate\n"),
    };
    text += &wrap(&explanation.headline, "", "");
    if !explanation.says.is_empty() {
        text += "\nWhat was counted:\n";
    }
    if let Some(counts) = &explanation.table {
        let mut table = plain_table(&["temporary addresses", "probed", "not probed"]);
        let row = |name: &str, a: u64, b: u64| [name.to_owned(), a.to_string(), b.to_string()];
        table.add_row(row("contacted it before", counts.contacted_probed, counts.contacted_spared));
        table.add_row(row("did not", counts.others_probed, counts.others_spared));
        text += &format!("{}\n", indent(&finish(table, &[1, 2])));
    }
    explanation.says.iter().for_each(|sentence| text += &wrap(sentence, "- ", "  "));
    text += &histogram(&explanation.lags);
    if !explanation.rivals.is_empty() {
        text += "\nWhat else could explain it:\n";
        for rival in &explanation.rivals {
            let sentence = format!("{}: {}: {}", rival.weight.as_str(), rival.title(), rival.why);
            text += &wrap(&sentence, "- ", "  ");
        }
    }
    if !explanation.settle.is_empty() {
        text += "\nWhat would settle it:\n";
        explanation.settle.iter().for_each(|step| text += &wrap(step, "- ", "  "));
    }
    text + &timeline(explanation)
}

/// The number of probed visitors by lag, as bars.
fn histogram(lags: &[LagBin]) -> String {
    let most = lags.iter().map(|bin| bin.locals).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let ends = lags.iter().map(|bin| match bin.up_to_seconds {
        604_800.0 => "a week".to_owned(),
        86_400.0 => "a day".to_owned(),
        60.0 => "1 min".to_owned(),
        3_600.0 => "1 h".to_owned(),
        10.0 => "10 s".to_owned(),
        seconds => duration(seconds),
    });
    let header: Vec<String> = std::iter::once("lag up to".to_owned()).chain(ends).collect();
    let mut table = plain_table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let bar = |bin: &LagBin| match bin.locals {
        0 => "-".to_owned(),
        n => format!("{} {n}", BLOCKS[((n * 8).div_ceil(most) as usize).clamp(1, 8) - 1]),
    };
    table.add_row(std::iter::once("addresses".to_owned()).chain(lags.iter().map(bar)));
    format!("{}\n", indent(&finish(table, &[1, 2, 3, 4, 5, 6, 7])))
}

fn timeline(explanation: &Explanation) -> String {
    let visits = &explanation.visits;
    let back = explanation.candidate.as_ref().is_some_and(|candidate| candidate.verdict == Verdict::ProbesBack);
    let is_own = |probe: &Followed| explanation.remote.contains(&probe.source);
    let speaks = |probe: &Followed| if back { is_own(probe) } else { probe.counts };
    // Show only the probes that speak against the remote. If there are none, show all probes.
    let any_speaks = visits.iter().flat_map(|visit| &visit.probes).any(speaks);
    let is_shown = |probe: &Followed| !any_speaks || speaks(probe);
    let (probed, rest): (Vec<_>, Vec<_>) = visits.iter().partition(|visit| visit.probes.iter().any(is_shown));
    let (others, spared): (Vec<_>, Vec<_>) = rest.into_iter().partition(|visit| !visit.probes.is_empty());
    let mut text = String::new();
    if !probed.is_empty() {
        let whose = if back && any_speaks { "its own probes" } else { "probes" };
        text +=
            &format!("\nFirst contacts with it that {whose} followed (UTC); below each how much later they came:\n");
    }
    probed.iter().take(VISITS).for_each(|visit| text += &followed(visit, &is_shown, explanation.candidate.is_some()));
    if probed.len() > VISITS {
        let more = plural((probed.len() - VISITS) as u64, "more such contact", "more such contacts");
        text += &format!("and {more}; --format json or csv lists them\n");
    }
    let shown = probed.iter().take(VISITS).flat_map(|visit| visit.probes.iter().filter(|p| is_shown(p)).take(PROBES));
    let shown: std::collections::HashSet<&str> = shown.map(|probe| probe.campaign.as_str()).collect();
    let scanners = explanation.scanners.iter().filter(|scanner| shown.contains(scanner.id.as_str()));
    if !shown.is_empty() {
        text += "Scanners:\n";
    }
    let (named, rest) = (scanners.clone().take(SCANNERS), scanners.count().saturating_sub(SCANNERS));
    for scanner in named {
        text += &wrap(&format!("{}: {}", scanner.id, scanner.label), "  ", "    ");
    }
    if rest > 0 {
        text += &format!("and {}\n", plural(rest as u64, "more scanner", "more scanners"));
    }
    if !others.is_empty() || !spared.is_empty() {
        text.push('\n');
    }
    if !others.is_empty() {
        let n = plural(others.len() as u64, "address contacted it and was", "addresses contacted it and were");
        let what = if back { "of others" } else { "that don't speak against it" };
        text += &format!("{n} followed only by probes {what}.\n");
    }
    if !spared.is_empty() {
        let n = spared.len() as u64;
        text += &format!(
            "{} not followed by any probe.\n",
            plural(n, "address contacted it and was", "addresses contacted it and were")
        );
    }
    if explanation.visits_left_out > 0 {
        text += &format!(
            "{} not looked at here.\n",
            plural(explanation.visits_left_out, "later visitor is", "later visitors are")
        );
    }
    text
}

fn followed(visit: &Visit, is_shown: &dyn Fn(&Followed) -> bool, is_candidate: bool) -> String {
    let class = if visit.class == "temporary" { String::new() } else { format!(", {} address", visit.class) };
    let device = visit.device_name.as_deref().or(visit.device.as_deref());
    let device = device.map(|name| format!(" ({name})")).unwrap_or_default();
    let service = service(&visit.proto, visit.port);
    let mut text = format!("{}  {}{device}, {service}{class}\n", instant(visit.ts), visit.local);
    let shown: Vec<&Followed> = visit.probes.iter().filter(|probe| is_shown(probe)).take(PROBES).collect();
    for probe in &shown {
        text += &format!(
            "{:>19}  {} from {}, {}{}\n",
            format!("+{}", duration(probe.lag_seconds)),
            self::service(&probe.kind, probe.port),
            probe.source,
            probe.campaign,
            note(probe, is_candidate),
        );
    }
    // Other probes are only counted.
    let like_these = visit.probes.iter().filter(|probe| is_shown(probe)).count();
    let more = (like_these - shown.len()) as u64;
    let others = (visit.probes.len() - like_these) as u64 + visit.probes_left_out;
    let mut rest = Vec::new();
    if more > 0 {
        rest.push(plural(more, "more such probe", "more such probes"));
    }
    if others > 0 {
        rest.push(plural(others, "other probe", "other probes"));
    }
    if !rest.is_empty() {
        text += &format!("{:>19}  {}\n", "", rest.join(", "));
    }
    text
}

/// The reason that a probe does not speak against the remote.
fn note(probe: &Followed, is_candidate: bool) -> &'static str {
    match probe.evidence.as_str() {
        _ if probe.contacted_source => " (had been contacted itself)",
        _ if probe.path_probe => " (path probe: no evidence)",
        "exact-hit" if probe.counts || !is_candidate => "",
        "exact-hit" => " (not held against it)",
        "expired" => " (address long unused: no evidence)",
        _ => " (no evidence)",
    }
}

fn service(kind: &str, port: u16) -> String {
    if matches!(kind, "echo" | "icmpv6") { kind.to_owned() } else { format!("{kind} {port}") }
}

fn indent(block: &str) -> String {
    block.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Breaks a sentence into lines. The first line begins with `first`, the other lines with `other`.
fn wrap(sentence: &str, first: &str, other: &str) -> String {
    let mut text = first.to_owned();
    let mut column = first.chars().count();
    let mut is_begun = false;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if is_begun && column + 1 + length > usize::from(WIDTH) {
            text.push('\n');
            text += other;
            column = other.chars().count();
        } else if is_begun {
            text.push(' ');
            column += 1;
        }
        is_begun = true;
        text += word;
        column += length;
    }
    text + "\n"
}
