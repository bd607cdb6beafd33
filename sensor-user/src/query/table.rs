//! An answer as a table that fits a terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use super::csv::cell;
use crate::contract::RowsAnswer;

type Row = Map<String, Value>;

/// A column of a table.
struct Column {
    name: String,
    /// Order of removal if the terminal is narrow: columns with the highest value first, columns with 0 never.
    spare: u8,
    right: bool,
    cell: Box<dyn Fn(&Row) -> String>,
}

/// Maximum number of ports shown in a row.
const PORTS: usize = 4;

/// The table, fitted to lines of `width` characters if possible; `None`: lines of any length.
#[must_use]
pub fn table(answer: &RowsAnswer, width: Option<u16>) -> String {
    if answer.rows.is_empty() {
        return String::new();
    }
    let mut columns = columns(answer);
    let mut cells: Vec<Vec<String>> =
        columns.iter().map(|column| answer.rows.iter().map(|row| clean(&(column.cell)(row))).collect()).collect();
    // Remove columns that are empty in all rows.
    let mut keep = cells.iter().map(|cells| cells.iter().any(|cell| !cell.is_empty()));
    columns.retain(|_| keep.next().unwrap_or(true));
    cells.retain(|cells| cells.iter().any(|cell| !cell.is_empty()));
    if let Some(width) = width {
        fit(&mut columns, &mut cells, width.into());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(columns.iter().map(|column| column.name.clone()));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for i in 0..answer.rows.len() {
        table.add_row(cells.iter().map(|cells| cells[i].as_str()));
    }
    for (i, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(i) {
            shown.set_padding((0, 2));
            if column.right {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
    if let [row] = answer.rows.as_slice() {
        text += &beginning(row);
    }
    text
}

/// Removes columns until the others fit or no other column may be removed.
fn fit(columns: &mut Vec<Column>, cells: &mut Vec<Vec<String>>, width: usize) {
    let length = |text: &str| text.chars().count();
    loop {
        let natural = |(column, cells): (&Column, &Vec<String>)| {
            2 + cells.iter().map(|cell| length(cell)).max().unwrap_or(0).max(length(&column.name))
        };
        let total: usize = columns.iter().zip(cells.iter()).map(natural).sum();
        let sparest = columns.iter().enumerate().max_by_key(|(_, column)| column.spare);
        match sparest {
            Some((i, column)) if total > width && column.spare > 0 => {
                columns.remove(i);
                cells.remove(i);
            }
            // An address stays on one line, with the name in the line below.
            _ if total > width => {
                for cell in cells.iter_mut().flatten() {
                    *cell = cell.replacen(" (", "\n(", 1);
                }
                return;
            }
            _ => return,
        }
    }
}

fn columns(answer: &RowsAnswer) -> Vec<Column> {
    let has = |name: &str| answer.columns.iter().any(|column| column == name);
    let is_begun = answer.rows.first().is_some_and(|row| row.contains_key("began"));
    let subject = answer.schema.split(['.', '/']).nth(1).unwrap_or_default();
    match subject {
        _ if is_begun => begun_columns(answer),
        _ if has("rows") => answer.columns.iter().map(|key| counted_column(key)).collect(),
        "probes" => vec![
            time("ts"),
            column("source", 0, who_named("source", "label")),
            column("target", 0, who("target")),
            column("probe", 0, service("kind")),
            spared(number("count"), 2),
            column("", 1, notes),
        ],
        "contacts" => vec![
            time("last"),
            spared(time("first"), 3),
            column("local", 0, who("local")),
            column("remote", 0, |row| addressed(row, "remote", &name(row))),
            column("service", 0, service("proto")),
            spared(number("count"), 2),
            column("", 1, notes),
        ],
        "locals" => vec![
            column("local", 0, who("local")),
            spared(plain("iid"), 3),
            time("last"),
            spared(time("first"), 2),
            spared(number("contacts"), 1),
            number("probes"),
            column("", 1, notes),
        ],
        "sources" => vec![
            column("source", 0, who_named("source", "operator")),
            number("attempts"),
            number("targets"),
            column("what", 0, labelled_kinds_and_ports),
            spared(time("first"), 2),
            spared(time("last"), 1),
        ],
        _ => vec![
            plain("id"),
            column("prefix", 0, |row| match row.get("prefixes").and_then(Value::as_u64) {
                Some(prefixes) if prefixes > 1 => format!("{} and {} more", who_scans(row), prefixes - 1),
                _ => who_scans(row),
            }),
            number("probes"),
            number("sources"),
            number("targets"),
            column("what", 0, labelled_kinds_and_ports),
            spared(plain("rhythm"), 4),
            spared(number("answered"), 3),
            spared(time("first"), 2),
            spared(time("last"), 1),
        ],
    }
}

/// The columns of `--first-seen`.
fn begun_columns(answer: &RowsAnswer) -> Vec<Column> {
    const NAMED: [&str; 10] =
        ["first", "name", "label", "local", "device", "device_name", "proto", "port", "last", "count"];
    let keys = answer.columns.iter().filter(|key| !NAMED.contains(&key.as_str()));
    let mut columns = vec![time("first")];
    columns.extend(keys.map(|key| plain(key)));
    columns.extend([
        column("name", 1, name),
        column("first by", 0, who("local")),
        column("service", 0, service("proto")),
        spared(time("last"), 2),
        number("count"),
    ]);
    columns
}

/// A column of `--by`.
fn counted_column(key: &str) -> Column {
    match key {
        "count" | "rows" => number(key),
        "first" => spared(time(key), 1),
        "last" => spared(time(key), 2),
        key if key.ends_with("/day") => cut(key, "2026-09-01".len()),
        key if key.ends_with("/hour") || key.ends_with("/minute") => cut(key, "2026-09-01 12:00".len()),
        key => plain(key),
    }
}

/// The prefix of a scanner, with the scanner's label, or else the operator.
fn who_scans(row: &Row) -> String {
    let label = text(row, "label");
    addressed(row, "prefix", &if label.is_empty() { text(row, "operator") } else { label })
}

/// The label, kinds and ports of a scanner, such as `sweep: echo, syn 22 80`.
fn labelled_kinds_and_ports(row: &Row) -> String {
    let labels = row.get("labels").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let shown = ["path-probe", "sweep", "slow-and-spread-out", "remainder"];
    let labels: Vec<String> = labels.iter().map(cell).filter(|l| shown.contains(&l.as_str())).collect();
    let colon = if labels.is_empty() { "" } else { ": " };
    labels.join(", ").replace('-', " ") + colon + &kinds_and_ports(row)
}

/// The kinds and ports of a scanner, such as `echo, syn 22 80`.
fn kinds_and_ports(row: &Row) -> String {
    let ports = row.get("ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let shown = match ports.len() {
        n if n > PORTS => format!(" {n} ports"),
        _ => ports.iter().map(|port| format!(" {port}")).collect(),
    };
    row.get("kinds").map_or_else(String::new, cell).replace(' ', ", ") + &shown
}

fn column(name: &str, spare: u8, cell: impl Fn(&Row) -> String + 'static) -> Column {
    Column { name: name.to_owned(), spare, right: false, cell: Box::new(cell) }
}

fn spared(column: Column, spare: u8) -> Column {
    Column { spare, ..column }
}

fn plain(key: &str) -> Column {
    let of = key.to_owned();
    column(key, 0, move |row| text(row, &of))
}

fn number(key: &str) -> Column {
    Column { right: true, ..plain(key) }
}

/// A column with times to the second.
fn time(key: &str) -> Column {
    let of = key.to_owned();
    column(key, 0, move |row| seconds(&text(row, &of)))
}

/// A column with times to the unit of `--by`.
fn cut(key: &str, length: usize) -> Column {
    let of = key.to_owned();
    column(key, 0, move |row| seconds(&text(row, &of)).chars().take(length).collect())
}

fn seconds(text: &str) -> String {
    text.get(..19).map_or_else(|| text.to_owned(), |text| text.replace('T', " "))
}

fn text(row: &Row, key: &str) -> String {
    row.get(key).map_or_else(String::new, cell)
}

/// An address, with a name if there is a name.
fn addressed(row: &Row, key: &str, name: &str) -> String {
    let address = text(row, key);
    if name.is_empty() { address } else { format!("{address} ({name})") }
}

fn who(key: &'static str) -> impl Fn(&Row) -> String {
    move |row| {
        let name = text(row, "device_name");
        addressed(row, key, &if name.is_empty() { text(row, "device") } else { name })
    }
}

fn who_named(key: &'static str, name: &'static str) -> impl Fn(&Row) -> String {
    move |row| addressed(row, key, &text(row, name))
}

/// The name of a remote, or else the label of its prefix.
fn name(row: &Row) -> String {
    let name = text(row, "name");
    if name.is_empty() { text(row, "label") } else { name }
}

/// The kind or protocol and the port, such as `syn 22` or `echo`.
fn service(key: &'static str) -> impl Fn(&Row) -> String {
    move |row| format!("{} {}", text(row, key), text(row, "port")).trim_end().to_owned()
}

fn notes(row: &Row) -> String {
    let flags = [
        ("answered", "answered"),
        ("contacted_source", "contacted before"),
        ("exposed", "exposed"),
        ("public", "public"),
    ];
    // Rows that have the column `answered` don't show `exposed`: every local that answered is exposed.
    let is =
        |key: &str| row.get(key) == Some(&Value::Bool(true)) && !(key == "exposed" && row.contains_key("answered"));
    flags.iter().filter(|(key, _)| is(key)).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

/// The first contacts of a group, and other contacts near in time. Shown below a table with a single row.
fn beginning(row: &Row) -> String {
    let mut text = String::new();
    for (key, title) in
        [("began", "The first contacts:"), ("around", "Around the first, the same local also contacted:")]
    {
        let contacts = row.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let contacts: Vec<&Row> = contacts.iter().filter_map(Value::as_object).collect();
        if contacts.is_empty() {
            continue;
        }
        text += &format!("\n{title}\n");
        for contact in contacts {
            let time = seconds(&self::text(contact, "ts"));
            let remote = addressed(contact, "remote", &self::text(contact, "name"));
            let local = if key == "began" { who("local")(contact) + " contacts " } else { String::new() };
            text += &clean(&format!("{time}  {local}{remote} ({})", service("proto")(contact)));
            text.push('\n');
        }
    }
    text
}

/// Escapes control characters: some names come from packets of outsiders.
fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
