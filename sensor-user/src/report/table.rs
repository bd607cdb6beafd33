//! Tables for people: a hundred columns, no colour, no borders.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::words::{duration, p_value, plural, remote_name};
use super::{Candidate, Explanation, Report};
use crate::attribution::Verdict;

const WIDTH: u16 = 100;
/// Members of a candidate shown in a table.
const MEMBERS: usize = 4;
/// Visits shown in an explanation.
const VISITS: usize = 40;
/// Probes shown for each visit.
const PROBES: usize = 5;

/// The suspects: the accused first, then who is ranked without being accused, then who probes back.
/// Acknowledged ones are counted and not shown.
#[must_use]
pub fn suspects_table(report: &Report) -> String {
    let mut text = sections(report, &|candidate| candidate.acked.is_none());
    let acked = report.candidates.iter().filter(|candidate| candidate.acked.is_some()).count();
    if acked > 0 {
        text += &format!("\n{acked} acknowledged; --all shows them\n");
    }
    text
}

/// As [`suspects_table`], with the acknowledged ones among the others.
#[must_use]
pub fn all_suspects_table(report: &Report) -> String {
    sections(report, &|_| true)
}

fn sections(report: &Report, shown: &dyn Fn(&Candidate) -> bool) -> String {
    let mut text = headline(report, shown);
    let section = |text: &mut String, title: &str, keep: &dyn Fn(Verdict) -> bool| {
        let rows: Vec<&Candidate> = report.candidates.iter().filter(|c| keep(c.verdict) && shown(c)).collect();
        if !rows.is_empty() {
            *text += &format!("\n{title}\n{}\n", candidates(&rows));
        }
    };
    section(&mut text, "Accused:", &Verdict::accuses);
    section(&mut text, "Ranked, not accused:", &|v| !v.accuses() && v != Verdict::ProbesBack);
    section(&mut text, "Contacted remotes that probe their visitors themselves (no proof of a leak):", &|v| {
        v == Verdict::ProbesBack
    });
    text
}

fn headline(report: &Report, shown: &dyn Fn(&Candidate) -> bool) -> String {
    let (accused, hidden): (Vec<_>, Vec<_>) =
        report.candidates.iter().filter(|c| c.verdict.accuses()).partition(|c| shown(c));
    let accused = accused.len() as u64;
    let mut text = format!(
        "{}, {} hit by {} that nobody could have guessed.\n",
        plural(report.locals, "local address", "local addresses"),
        report.probed_locals,
        if report.probed_locals == 1 { "a probe" } else { "probes" },
    );
    text += &match (report.probed_locals, accused) {
        (0, _) => "Nobody is accused: there is nothing to explain.\n".to_owned(),
        (_, 0) if !hidden.is_empty() => "Nobody is accused who was not acknowledged.\n".to_owned(),
        (_, 0) => "Nobody is accused: what was probed may be chance, or there is too little of it.\n".to_owned(),
        (_, n) => {
            let share = report.unexplained_share.unwrap_or(0.0) * 100.0;
            format!("{}; {share:.0} % of those probes remain unexplained.\n", plural(n, "accused", "accused"))
        }
    };
    text
}

fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    table
}

fn finish(mut table: Table, right: &[usize]) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for &index in right {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn candidates(rows: &[&Candidate]) -> String {
    let mut table = plain_table(&["#", "verdict", "who", "probed", "p", "lag", "campaigns"]);
    for candidate in rows {
        table.add_row([
            candidate.rank.to_string(),
            verdict(candidate),
            who(candidate),
            format!("{}/{}", candidate.contacted_probed, candidate.contacted),
            candidate.score.map_or_else(|| "-".to_owned(), |score| p_value(10f64.powf(-score))),
            candidate.median_lag_seconds.map_or_else(|| "-".to_owned(), duration),
            few(&candidate.campaigns),
        ]);
    }
    finish(table, &[0, 3, 4, 5])
}

fn verdict(candidate: &Candidate) -> String {
    let verdict = candidate.verdict.as_str().replace("not-identifiable", "can't tell");
    if candidate.acked.is_some() { verdict + " (acknowledged)" } else { verdict }
}

/// The address, the prefix, or the remotes that can't be told apart, a line each.
fn who(candidate: &Candidate) -> String {
    let members = candidate.members.as_slice();
    let inside = members.iter().all(|member| candidate.prefix.contains(member));
    match members {
        [one] => labelled(one.to_string(), candidate),
        _ if inside && candidate.prefix.prefix_len() <= 64 && candidate.verdict.accuses() => {
            let text = format!("{} ({})", candidate.prefix, plural(members.len() as u64, "address", "addresses"));
            labelled(text, candidate)
        }
        _ => {
            let mut lines: Vec<String> = members.iter().take(MEMBERS).map(ToString::to_string).collect();
            if members.len() > MEMBERS {
                lines.push(format!("or {} more", members.len() - MEMBERS));
            }
            labelled(lines.join("\n"), candidate)
        }
    }
}

fn labelled(text: String, candidate: &Candidate) -> String {
    match &candidate.label {
        Some(label) => format!("{text} ({label})"),
        None => text,
    }
}

fn few(campaigns: &[String]) -> String {
    match campaigns {
        many if many.len() > 3 => format!("{} and {} more", many[..2].join(" "), many.len() - 2),
        few => few.join(" "),
    }
}

/// An explanation, to be read from top to bottom.
#[must_use]
pub fn explanation_text(explanation: &Explanation) -> String {
    let name = remote_name(explanation.remote);
    let mut text = match &explanation.candidate {
        Some(c) => {
            let name = labelled(name, c);
            format!("{name}: {}, rank {} of {}\n\n", c.verdict.as_str(), c.rank, explanation.candidates)
        }
        None => format!("{name}: not a candidate\n\n"),
    };
    for sentence in &explanation.says {
        text += &wrap(sentence);
    }
    if let Some(counts) = &explanation.table {
        let mut table = plain_table(&["temporary addresses", "probed", "not probed"]);
        let row = |name: &str, a: u64, b: u64| [name.to_owned(), a.to_string(), b.to_string()];
        table.add_row(row("contacted it before", counts.contacted_probed, counts.contacted_spared));
        table.add_row(row("did not", counts.others_probed, counts.others_spared));
        text += &format!("\n{}\n", finish(table, &[1, 2]));
    }
    text + &timeline(explanation)
}

fn timeline(explanation: &Explanation) -> String {
    let (probed, spared): (Vec<_>, Vec<_>) = explanation.visits.iter().partition(|visit| !visit.probes.is_empty());
    let mut text = String::new();
    if !probed.is_empty() {
        text += "\nContacts that probes followed, in order of time (UTC):\n";
    }
    for visit in probed.iter().take(VISITS) {
        let class = if visit.class == "temporary" { String::new() } else { format!(", {}", visit.class) };
        let (ts, local) = (visit.ts, visit.local);
        let device = visit.device_name.as_deref().or(visit.device.as_deref());
        let device = device.map(|name| format!(" ({name})")).unwrap_or_default();
        text += &format!("{ts}  {local}{device} contacts it ({}{class})\n", service(&visit.proto, visit.port));
        for probe in visit.probes.iter().take(PROBES) {
            let note = match probe.evidence.as_str() {
                _ if probe.contacted_source => ", a remote that it had contacted",
                "exact-hit" => "",
                _ => ", no evidence",
            };
            text += &format!(
                "{:>14} later  {} from {} ({}{note})\n",
                duration(probe.lag_seconds),
                service(&probe.kind, probe.port),
                probe.source,
                probe.campaign,
            );
        }
        let more = visit.probes.len().saturating_sub(PROBES) as u64 + visit.probes_left_out;
        if more > 0 {
            text += &format!("{:>21} {}\n", "and", plural(more, "more", "more"));
        }
    }
    if probed.len() > VISITS {
        text += &format!("and {} more.\n", probed.len() - VISITS);
    }
    if !spared.is_empty() || explanation.visits_left_out > 0 {
        let more = spared.len() as u64 + explanation.visits_left_out;
        let what = if explanation.visits_left_out > 0 { "not shown" } else { "not followed by a probe" };
        text += &format!("\n{} {what}.\n", plural(more, "contact was", "contacts were"));
    }
    text
}

fn service(kind: &str, port: u16) -> String {
    if matches!(kind, "echo" | "icmpv6") { kind.to_owned() } else { format!("{kind} {port}") }
}

fn wrap(sentence: &str) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > usize::from(WIDTH) {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text + "\n"
}
