//! The suspects as a table for people.

use comfy_table::ColumnConstraint;

use super::layout::{finish, plain_table};
use super::{Candidate, Report};
use crate::attribution::{Rival, Verdict};
use crate::words::{duration, p_value, percent, plural};

/// The most members of a candidate shown.
const MEMBERS: usize = 4;

/// The suspects: first the accused, then ranked remotes that are not accused, then remotes that probe back. For
/// acknowledged candidates, the table shows only their number.
#[must_use]
pub fn suspects_table(report: &Report) -> String {
    let mut text = sections(report, &|candidate| candidate.acked.is_none());
    let acked = report.candidates.iter().filter(|candidate| candidate.acked.is_some()).count();
    if acked > 0 {
        text += &format!("\n{acked} acknowledged; --all shows them\n");
    }
    text
}

/// As [`suspects_table`], but with acknowledged candidates.
#[must_use]
pub fn all_suspects_table(report: &Report) -> String {
    sections(report, &|_| true)
}

fn sections(report: &Report, shown: &dyn Fn(&Candidate) -> bool) -> String {
    let mut text = headline(report, shown);
    report.caveats.iter().for_each(|caveat| text += &format!("{caveat}\n"));
    let has_probability = report.candidates.iter().any(|candidate| candidate.probability.is_some());
    let section = |text: &mut String, title: &str, keep: &dyn Fn(Verdict) -> bool| {
        let rows: Vec<&Candidate> = report.candidates.iter().filter(|c| keep(c.verdict) && shown(c)).collect();
        if !rows.is_empty() {
            *text += &format!("\n{title}\n{}\n", candidates(&rows, has_probability));
        }
    };
    section(&mut text, "Accused:", &Verdict::accuses);
    section(&mut text, "Ranked, not accused:", &|v| !v.accuses() && v != Verdict::ProbesBack);
    section(&mut text, "Contacted remotes that probe their visitors themselves (no proof of a leak):", &|v| {
        v == Verdict::ProbesBack
    });
    text
}

/// Whether the model or the comparison points to the candidate.
fn stands_out(candidate: &Candidate) -> bool {
    let counted = candidate.evidence.is_some_and(|evidence| evidence > 0.0) || candidate.score.is_some_and(|s| s > 0.3);
    counted && candidate.probability.is_none_or(|probability| probability >= 0.1)
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
        (hit, 0) if hit >= 10 && hit * 2 >= report.locals && !report.candidates.iter().any(stands_out) => {
            "Nobody is accused: no remote stands out. So many were hit that it may be a listener on the path,\n\
             the resolver, or a remote that all contact.\n"
                .to_owned()
        }
        (_, 0) if report.candidates.first().is_some_and(stands_out) => {
            "Nobody is accused: something points to the first below, but not enough to name it.\n".to_owned()
        }
        (_, 0) => "Nobody is accused: what was probed may be chance, or there is too little of it.\n".to_owned(),
        (_, n) => {
            let share = report.unexplained_share.unwrap_or(0.0) * 100.0;
            format!("{}; {share:.0} % of those probes remain unexplained.\n", plural(n, "accused", "accused"))
        }
    };
    text
}

/// One section of the table. If no probability of a leak is known, its column shows the p of chance instead.
fn candidates(rows: &[&Candidate], has_probability: bool) -> String {
    let leaks = rows.iter().any(|candidate| candidate.leak_probability.is_some());
    let dash = || "-".to_owned();
    let mut header = vec!["#", "verdict", "who", if has_probability { "likely" } else { "p" }, "probed"];
    header.extend(leaks.then_some("leaks"));
    header.extend(["lag", "campaigns"]);
    let mut table = plain_table(&header);
    for candidate in rows {
        let chance = candidate.score.map(|score| p_value(10f64.powf(-score)));
        let likely = candidate.probability.map(percent);
        let mut row = vec![
            candidate.rank.to_string(),
            verdict(candidate),
            who(candidate),
            if has_probability { likely } else { chance }.unwrap_or_else(dash),
            format!("{}/{}", candidate.contacted_probed, candidate.contacted),
        ];
        row.extend(leaks.then(|| candidate.leak_probability.map_or_else(dash, percent)));
        row.extend([candidate.median_lag_seconds.map_or_else(dash, duration), few(&candidate.campaigns)]);
        table.add_row(row);
    }
    // Addresses are not broken into lines. The other columns shrink.
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    finish(table, if leaks { &[0, 3, 4, 5, 6] } else { &[0, 3, 4, 5] })
}

/// The verdict, and below it the most important rival explanation in short form.
fn verdict(candidate: &Candidate) -> String {
    let mut text = candidate.verdict.as_str().replace("not-identifiable", "can't tell");
    if candidate.acked.is_some() {
        text += " (acknowledged)";
    }
    // Show only the first rival in this order. `explain` lists all rivals.
    let hint = |rival: Rival| match rival {
        Rival::OnPath => "(path?)",
        Rival::DeviceItself => "(its device?)",
        Rival::OneDevice => "(one device)",
        Rival::FewLocals => "(few)",
        Rival::ManySites => "(many sites)",
        Rival::TimingAlone => "(timing)",
        Rival::OneOfSeveral => "(one of them)",
    };
    let order = [
        Rival::OnPath,
        Rival::DeviceItself,
        Rival::OneDevice,
        Rival::FewLocals,
        Rival::ManySites,
        Rival::TimingAlone,
        Rival::OneOfSeveral,
    ];
    if let Some(rival) = order.into_iter().find(|rival| candidate.rivals.contains(rival)) {
        text += "\n";
        text += hint(rival);
    }
    text
}

/// The address, the prefix, or one line for each remote that can't be told apart.
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

pub(crate) fn labelled(text: String, candidate: &Candidate) -> String {
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
