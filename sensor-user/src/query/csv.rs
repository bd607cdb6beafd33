//! An answer as CSV: a header, then a line for each row. The elements of a list are separated by spaces.

use serde_json::Value;

use crate::contract::RowsAnswer;

/// Writes the rows as CSV, without limits and notes, for which CSV has no place.
///
/// # Errors
/// Errors of the output.
pub fn write(answer: &RowsAnswer, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(&answer.columns)?;
    for row in &answer.rows {
        writer.write_record(answer.columns.iter().map(|column| row.get(column).map_or_else(String::new, cell)))?;
    }
    writer.flush()
}

/// A value as text without quotes and brackets; null becomes the empty text.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
