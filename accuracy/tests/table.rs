//! Tests of the program `accuracy`, run as a user runs it.

use std::process::{Command, Output};

fn accuracy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_accuracy")).args(arguments).output().unwrap()
}

#[test]
fn a_small_run_prints_a_table_and_writes_every_figure_with_its_limits() {
    let file = std::env::temp_dir().join(format!("accuracy-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let arguments =
        ["--family", "one", "--family", "clean", "--size", "50", "--seeds", "3", "--jobs", "2", "--json", path];
    let done = accuracy(&arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("clean   ")).count(), 3, "three methods: {text}");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    for row in &rows {
        let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"));
        assert!(number("low") <= number("value") && number("value") <= number("high"), "{row}");
        assert!(number("n") > 0.0 && row["family"].is_string() && row["method"].is_string(), "{row}");
    }
    let has = |family: &str, metric: &str| rows.iter().any(|row| row["family"] == family && row["metric"] == metric);
    assert!(has("one", "average_precision") && has("one", "average_precision_minus_fisher"));
    assert!(has("one", "addresses_needed") && has("clean", "names_anyone") && has("all", "clean_names_anyone"));
    // The number of threads makes no difference.
    let again = accuracy(&["--family", "one", "--family", "clean", "--size", "50", "--seeds", "3"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
}

#[test]
fn a_network_is_written_for_the_product_to_read() {
    let file = std::env::temp_dir().join(format!("accuracy-{}.jsonl", std::process::id()));
    let done =
        accuracy(&["--family", "one", "--size", "50", "--first-seed", "4", "--observations", file.to_str().unwrap()]);
    let said = String::from_utf8(done.stdout).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let harvester = said.split_whitespace().last().unwrap();
    assert!(text.contains(&format!("\"remote\":\"{harvester}\"")), "{said}");
    assert!(text.lines().all(|line| line.starts_with("{\"type\":\"")));
}

#[test]
fn unknown_families_and_sizes_are_named() {
    for (arguments, complaint) in [(["--family", "none-such"], "no family none-such"), (["--size", "77"], "no size 77")]
    {
        let done = accuracy(&arguments);
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && said.contains(complaint), "{said}");
    }
}
