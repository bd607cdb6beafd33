//! Runs every command of docs/queries.md and compares the output with the output in the document.

#![cfg(feature = "live")]

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sensor_user::store::Store;
use tattler_files::jsonl;

/// Creates in `dir` the store of the household in the document.
fn make_store(dir: &Path) {
    let fixture = include_str!("data/household.jsonl");
    let observations: Vec<_> = fixture.lines().map(|line| jsonl::parse(line.as_bytes()).unwrap()).collect();
    assert!(observations.len() > 100);
    let mut store = Store::open(dir).unwrap();
    store.append(&observations).unwrap();
}

/// A command of a `console` block and the output below it.
struct Example {
    line: usize,
    command: String,
    shown: String,
}

fn examples(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (i, line) in document.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ if line.starts_with("$ ") => {
                examples.push(Example { line: i + 1, command: line[2..].to_owned(), shown: String::new() });
            }
            _ => writeln!(examples.last_mut().expect("a command before its output").shown, "{line}").unwrap(),
        }
    }
    examples
}

#[test]
fn every_command_of_the_document_gives_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    make_store(&state);
    // A script that runs `tattler QUERY …` with the state directory of the test.
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nquery=$1\nshift\nexec '{}' \"$query\" --state '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_tattler"),
        state.display()
    );
    fs::write(bin.join("tattler"), script).unwrap();
    fs::set_permissions(bin.join("tattler"), Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());

    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/queries.md")).unwrap();
    let examples = examples(&document);
    let shown = examples.iter().filter(|example| !example.shown.is_empty()).count();
    assert!(examples.len() >= 20 && shown >= 8, "{} examples, {shown} with output", examples.len());
    let mut wrong = String::new();
    for Example { line, command, shown } in &examples {
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {command} ; }} 2>&1")])
            .env("PATH", &path)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() || (!shown.is_empty() && *shown != said) {
            write!(wrong, "line {line}: $ {command}\n{}\n{said}\n", output.status).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
