//! The table for people. The part of each family is printed when it is complete.

use comfy_table::{CellAlignment, ColumnConstraint, Table, Width, presets};

use crate::rows::FigureRow;

const COLUMNS: [(&str, u16); 12] = [
    ("family", 23),
    ("size", 4),
    ("method", 14),
    ("AP (95 % limits)", 17),
    ("lead", 7),
    ("recall", 6),
    ("named", 7),
    ("wrong", 9),
    ("strong", 6),
    ("first", 5),
    ("Brier", 5),
    ("holds", 7),
];

/// What the columns mean.
pub const LEGEND: &str = "\
AP: average precision. lead: ours minus this method's, * if significant, paired by home. recall: of as many
first places as there are harvesters. named: homes in which anyone is accused, of all. wrong: wrong accusations
of all; strong: of those called so. first: probed addresses until the harvester is first (21: not within 20).
Brier: of stated probabilities. holds: 95 % leak intervals that hold the truth.
";

/// The head of the table.
#[must_use]
pub fn head() -> String {
    let mut table = table();
    table.add_row(COLUMNS.map(|column| column.0));
    text(table)
}

/// The part of one family at one size.
#[must_use]
pub fn part(rows: &[FigureRow]) -> String {
    let mut table = table();
    let mut methods: Vec<&str> = rows.iter().map(|row| row.method).collect();
    methods.dedup();
    for method in methods {
        let figure = |method: &str, metric: &str| rows.iter().find(|row| row.method == method && row.metric == metric);
        let find = |metric: &str| figure(method, metric);
        let limits = |row: &FigureRow| format!("{:.3} {:.2}-{:.2}", row.value, row.low, row.high);
        let plain = |row: &FigureRow| format!("{:.3}", row.value);
        // A share as two counts.
        let counts = |row: &FigureRow| format!("{}/{}", (row.value * row.n as f64).round(), row.n);
        let dash = |row: Option<&FigureRow>, show: &dyn Fn(&FigureRow) -> String| row.map_or("-".to_owned(), show);
        let signed = |row: &FigureRow| {
            let significant = row.low > 0.0 || row.high < 0.0;
            format!("{:+.3}{}", row.value, if significant { "*" } else { " " })
        };
        let lead = match method {
            "fisher" => figure("ours", "average_precision_minus_fisher"),
            "distinct-count" => figure("ours", "average_precision_minus_distinct_count"),
            _ => None,
        };
        let first = rows.first();
        table.add_row([
            dash(first, &|row| row.family.clone()),
            dash(first, &|row| row.size.to_string()),
            method.to_owned(),
            dash(find("average_precision"), &limits),
            dash(lead, &signed),
            dash(find("recall_at_true_number"), &plain),
            dash(find("names_anyone"), &counts),
            dash(find("false_discovery"), &counts),
            dash(find("false_discovery_strong"), &counts),
            dash(find("addresses_needed"), &|row| format!("{:.1}", row.value)),
            dash(find("brier"), &plain),
            dash(find("interval_coverage"), &counts),
        ]);
    }
    text(table)
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

/// The columns have fixed widths, since parts are printed one after another.
fn text(mut table: Table) -> String {
    for ((position, column), (_, width)) in table.column_iter_mut().enumerate().zip(COLUMNS) {
        column.set_padding((0, 2));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + 2)));
        if position == 1 || position > 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
