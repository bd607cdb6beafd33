//! A progress line on the terminal. Each update overwrites the line; the end removes it.

use std::io::{self, Write};

/// The assumed width of a terminal of unknown width.
const COLUMNS: usize = 80;
/// Moves the cursor to the first column and clears the line.
const WIPE: &str = "\r\x1b[K";

/// Shows a line of three parts. If the line is too long, the beginning of `name` is cut.
pub(super) fn show(before: &str, name: &str, after: &str) {
    // Wide characters may make the line too long. Line wrap is off, because a wrapped line could not be removed.
    let line = fit(before, name, after, columns());
    // A closed terminal is normal.
    let _ = write!(io::stderr(), "{WIPE}\x1b[?7l{line}\x1b[?7h");
}

/// Removes the line.
pub(super) fn wipe() {
    let _ = write!(io::stderr(), "{WIPE}");
}

fn columns() -> usize {
    if let Some((width, _)) = terminal_size::terminal_size_of(io::stderr()) {
        return usize::from(width.0);
    }
    COLUMNS
}

fn fit(before: &str, name: &str, after: &str, columns: usize) -> String {
    let name: Vec<char> = name.chars().map(|char| if char.is_control() { '?' } else { char }).collect();
    // The cursor needs one column.
    let room = columns.saturating_sub(before.chars().count() + after.chars().count() + 1);
    let name: String = match name.len() {
        length if length <= room => name.iter().collect(),
        length => ['…'].iter().chain(&name[length - room.saturating_sub(1)..]).collect(),
    };
    format!("{before}{name}{after}").chars().take(columns.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_and_a_long_name_loses_its_beginning() {
        assert_eq!(fit(" 28 % of ", "kern.log", ", 5 lines", 80), " 28 % of kern.log, 5 lines");
        assert_eq!(fit(" 28 % of ", "/var/log/kern.log.1", ", 5 lines", 30), " 28 % of …kern.log.1, 5 lines");
        assert_eq!(fit(" 28 % of ", "/var/log/kern\n.log", ", 5 lines", 26), " 28 % of …n?.log, 5 lines");
        assert_eq!(fit(" 28 % of ", "kern.log", ", 5 lines", 12), " 28 % of …,");
        assert_eq!(fit("a", "b", "c", 0), "");
    }
}
