//! Checks that the tests named in docs/promises.md exist.

use std::fs;
use std::path::{Path, PathBuf};

/// Collects the source files below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_promise_has_a_number_an_existing_test_and_a_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for directory in ["sensor-common", "sensor-user", "tests"] {
        sources(&root.join(directory), &mut files);
    }
    let source: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let page = fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    assert!(rows.len() > 20, "{}", rows.len());
    let mut numbers = std::collections::BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, tests, _, date] = cells[..] else { panic!("{} cells: {row}", cells.len()) };
        numbers.insert(number.parse::<u32>().unwrap_or_else(|_| panic!("no number: {row}")));
        assert!(date.starts_with("20") && date.len() == 10, "no date: {row}");
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for name in named.iter().filter(|name| !name.starts_with("cargo ")) {
            let at = source.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("there is no test {name}"));
            let before: String = source[..at].lines().rev().take(3).collect();
            assert!(before.contains("#[test]") || before.contains("proptest"), "{name} is no test");
        }
    }
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
}
