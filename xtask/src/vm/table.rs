//! The table of kernels and checks.

use std::fmt::Write;

use super::guest::Results;

/// A guest's results, with the checks that it should run.
pub struct Row {
    /// The requested series.
    pub series: &'static str,
    pub checks: Vec<&'static str>,
    /// Or the reason why there was no guest.
    pub results: Result<Results, String>,
}

impl Row {
    /// All checks were successful, and the guest ran to its end.
    pub fn is_ok(&self) -> bool {
        self.results.as_ref().is_ok_and(|results| results.ended && self.checks.iter().all(|check| self.cell(check).0))
    }

    /// Whether a check was successful or not requested, and the table's text.
    fn cell(&self, check: &str) -> (bool, String) {
        if !self.checks.contains(&check) {
            return (true, "-".to_owned());
        }
        let mut outcomes = self.results.iter().flat_map(|results| &results.outcomes);
        match outcomes.rfind(|outcome| outcome.check == check) {
            Some(outcome) => {
                let word = if outcome.ok { "ok" } else { "failed" };
                (outcome.ok, format!("{word} {:.1} s", outcome.took.as_secs_f64()))
            }
            None => (false, "not reached".to_owned()),
        }
    }
}

/// The table as Markdown, which a terminal shows well too.
pub fn table(rows: &[Row], checks: &[&str]) -> String {
    let mut cells = vec![vec!["kernel".to_owned()]];
    cells[0].extend(checks.iter().map(|check| (*check).to_owned()));
    cells[0].push("guest".to_owned());
    for row in rows {
        let results = row.results.as_ref().ok();
        let release = results.and_then(|results| results.release.as_deref()).unwrap_or(row.series);
        let mut line = vec![release.to_owned()];
        line.extend(checks.iter().map(|check| row.cell(check).1));
        line.push(results.map_or("none".to_owned(), |results| format!("{:.0} s", results.took.as_secs_f64())));
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
            message: String::new(),
        };
        let outcomes = outcomes.iter().map(outcome).collect();
        let results = Results { release: Some("6.1.0".to_owned()), outcomes, ended, took: Duration::from_secs(9) };
        Row { series: "6.1", checks: vec!["veth", "vlan"], results: Ok(results) }
    }

    #[test]
    fn a_row_is_ok_if_all_its_checks_are_and_the_guest_ended() {
        let both = [("veth", true), ("vlan", true)];
        assert!(row(&both, true).is_ok());
        for (outcomes, ended) in [(&both, false), (&[("veth", true), ("vlan", false)], true)] {
            assert!(!row(outcomes, ended).is_ok());
        }
        assert!(!row(&both[..1], true).is_ok());
        assert!(!Row { series: "6.1", checks: vec![], results: Err("no such kernel".to_owned()) }.is_ok());
    }

    #[test]
    fn the_table_shows_checks_not_requested_and_not_reached() {
        let rows = [row(&[("veth", true)], false)];
        let expected = "\
            | kernel | veth     | vlan        | sit | guest |\n\
            | ------ | -------- | ----------- | --- | ----- |\n\
            | 6.1.0  | ok 1.2 s | not reached | -   | 9 s   |\n";
        assert_eq!(table(&rows, &["veth", "vlan", "sit"]), expected);
    }
}
