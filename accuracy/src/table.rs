//! The table for people. Each family's part is printed when the part is complete.

use comfy_table::{CellAlignment, ColumnConstraint, Table, Width, presets};

use crate::limits::Figure;
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

/// Explanation of the columns.
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
    let plain = |figure: Figure| format!("{:.3}", figure.value);
    let limits = |figure: Figure| format!("{:.3} {:.2}-{:.2}", figure.value, figure.low, figure.high);
    // Shows a share as two counts.
    let counts = |figure: Figure| format!("{}/{}", (figure.value * figure.n as f64).round(), figure.n);
    let signed = |figure: Figure| {
        let significant = figure.low > 0.0 || figure.high < 0.0;
        format!("{:+.3}{}", figure.value, if significant { "*" } else { " " })
    };
    let mut methods: Vec<_> = rows.iter().map(|row| (&row.family, row.size, row.method)).collect();
    methods.dedup();
    for (family, size, method) in methods {
        let show = |method: &str, metric: &str, show: &dyn Fn(Figure) -> String| {
            let row = rows.iter().find(|row| row.method == method && row.metric == metric);
            row.map_or("-".to_owned(), |row| show(row.figure))
        };
        table.add_row([
            family.clone(),
            size.to_string(),
            method.to_owned(),
            show(method, "average_precision", &limits),
            show("ours", &format!("average_precision_minus_{}", method.replace('-', "_")), &signed),
            show(method, "recall_at_true_number", &plain),
            show(method, "names_anyone", &counts),
            show(method, "false_discovery", &counts),
            show(method, "false_discovery_strong", &counts),
            show(method, "addresses_needed", &|figure| format!("{:.1}", figure.value)),
            show(method, "brier", &plain),
            show(method, "interval_coverage", &counts),
        ]);
    }
    text(table)
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

/// Formats a table. Columns have fixed widths, since the parts are printed one after another.
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
