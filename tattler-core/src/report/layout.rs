//! Text tables that are at most a hundred columns wide, without colour or borders.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// The width of the widest line, in columns.
pub(crate) const WIDTH: u16 = 100;

/// An empty table with this header.
pub(crate) fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    table
}

/// The text of a table. `right`: the columns that are aligned to the right.
pub(crate) fn finish(mut table: Table, right: &[usize]) -> String {
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
