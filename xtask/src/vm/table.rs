//! The table of kernels and checks.

use std::fmt::Write;

use super::guest::Told;

/// A guest's results, with the checks that it was to run.
pub struct Row {
    /// The series that was wanted.
    pub series: &'static str,
    pub checks: Vec<&'static str>,
    /// None: there was no guest, for this reason.
    pub told: Result<Told, String>,
}

impl Row {
    /// Every check that was asked for went well, and the guest came to its end.
    pub fn is_ok(&self) -> bool {
        self.told.as_ref().is_ok_and(|told| told.ended && self.checks.iter().all(|check| self.cell(check).0))
    }

    /// Whether a check went well or was not asked for, and what the table says.
    fn cell(&self, check: &str) -> (bool, String) {
        if !self.checks.contains(&check) {
            return (true, "-".to_owned());
        }
        let mut outcomes = self.told.iter().flat_map(|told| &told.outcomes);
        match outcomes.rfind(|outcome| outcome.check == check) {
            Some(outcome) => {
                let word = if outcome.ok { "ok" } else { "failed" };
                (outcome.ok, format!("{word} {:.1} s", outcome.took.as_secs_f64()))
            }
            None => (false, "not reached".to_owned()),
        }
    }
}

/// As Markdown, which is read in a terminal as well.
pub fn table(rows: &[Row], checks: &[&str]) -> String {
    let mut cells = vec![vec!["kernel".to_owned()]];
    cells[0].extend(checks.iter().map(|check| (*check).to_owned()));
    cells[0].push("guest".to_owned());
    for row in rows {
        let told = row.told.as_ref().ok();
        let release = told.and_then(|told| told.release.as_deref()).unwrap_or(row.series);
        let mut line = vec![release.to_owned()];
        line.extend(checks.iter().map(|check| row.cell(check).1));
        line.push(told.map_or("none".to_owned(), |told| format!("{:.0} s", told.took.as_secs_f64())));
        cells.push(line);
    }
    let width = |column: usize| cells.iter().map(|line| line[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..cells[0].len()).map(width).collect();
    cells.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
    let mut table = String::new();
    for line in cells {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(table, "| {cell:width$} ");
        }
        table.push_str("|\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::guest::Outcome;
    use super::*;

    fn row(outcomes: &[(&str, bool)], ended: bool) -> Row {
        let outcome = |(check, ok): &(&str, bool)| Outcome {
            check: (*check).to_owned(),
            ok: *ok,
            took: Duration::from_millis(1_240),
            said: String::new(),
        };
        let outcomes = outcomes.iter().map(outcome).collect();
        let told = Told { release: Some("6.1.0".to_owned()), outcomes, ended, took: Duration::from_secs(9) };
        Row { series: "6.1", checks: vec!["veth", "vlan"], told: Ok(told) }
    }

    #[test]
    fn all_that_was_asked_for_must_go_well_to_the_end() {
        assert!(row(&[("veth", true), ("vlan", true)], true).is_ok());
        assert!(!row(&[("veth", true), ("vlan", true)], false).is_ok());
        assert!(!row(&[("veth", true), ("vlan", false)], true).is_ok());
        assert!(!row(&[("veth", true)], true).is_ok());
        assert!(!Row { series: "6.1", checks: vec![], told: Err("no such kernel".to_owned()) }.is_ok());
    }

    #[test]
    fn the_table_shows_what_was_not_asked_for_and_what_was_not_reached() {
        let rows = [row(&[("veth", true)], false)];
        let expected = "\
            | kernel | veth     | vlan        | sit | guest |\n\
            | ------ | -------- | ----------- | --- | ----- |\n\
            | 6.1.0  | ok 1.2 s | not reached | -   | 9 s   |\n";
        assert_eq!(table(&rows, &["veth", "vlan", "sit"]), expected);
    }
}
