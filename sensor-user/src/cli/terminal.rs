//! One line on the terminal that overwrites itself and goes away.

use std::io::{self, Write};

/// Where nobody tells the width.
const COLUMNS: usize = 80;
/// To the margin, and the line empty.
const WIPE: &str = "\r\x1b[K";

/// Shows a line: what is said before and after a name, and of the name as much of its end as there is
/// room for.
pub(super) fn show(before: &str, name: &str, after: &str) {
    // What is wider than it looks is cut at the margin: a line that wraps could not be wiped.
    let line = fit(before, name, after, columns());
    // The terminal is gone: there is nobody left to show.
    let _ = write!(io::stderr(), "{WIPE}\x1b[?7l{line}\x1b[?7h");
}

/// Wipes the line, so that what follows begins at the margin.
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
    // The cursor stands behind the line.
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
    fn a_line_fits_and_of_a_long_name_the_end_is_shown() {
        assert_eq!(fit(" 28 % of ", "kern.log", ", 5 lines", 80), " 28 % of kern.log, 5 lines");
        assert_eq!(fit(" 28 % of ", "/var/log/kern.log.1", ", 5 lines", 30), " 28 % of …kern.log.1, 5 lines");
        assert_eq!(fit(" 28 % of ", "/var/log/kern\n.log", ", 5 lines", 26), " 28 % of …n?.log, 5 lines");
        assert_eq!(fit(" 28 % of ", "kern.log", ", 5 lines", 12), " 28 % of …,");
        assert_eq!(fit("a", "b", "c", 0), "");
    }
}
