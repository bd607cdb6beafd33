//! The tests by test-run on this kernel: crafted packets through the programs.

use std::process::Command;

use tests::programs::succeed;

/// Mutated frames: few, since the machine is emulated, and all kernels have the same parser.
const MUTATED: &str = "20000";

/// Contacts, probes, answers, budgets, counters.
pub fn rules() -> String {
    // The check `programs` loads them here: not every kernel supports every program.
    run("kernel", &["--skip", "every_program_loads_and_has_its_name"])
}

/// The parser, against the one in user space.
pub fn parser() -> String {
    format!("{}; {MUTATED} mutated frames", run("differential", &[]))
}

fn run(name: &str, arguments: &[&str]) -> String {
    let mut tests = Command::new(format!("/tests/{name}"));
    let said = succeed(tests.args(["--test-threads", "1"]).args(arguments).env("TATTLER_MUTATED", MUTATED));
    // test result: ok. 24 passed; 0 failed; …
    let result = said.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    let passed = result.and_then(|result| result.split("; ").next()).expect("a result");
    assert!(!passed.starts_with("0 "), "no test was run: {said}");
    passed.to_owned()
}
