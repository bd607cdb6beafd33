//! Bad input leads to one line on standard error, with the object and advice, and to the right exit status.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PROBE: &str = r#"{"type":"probe","ts":"2026-09-01T03:51:56.888Z","source":"2a0d:5600::29","target":"2001:db8::e014:9aff:5e49:ecb3","kind":"syn","port":22,"hop_limit":50}"#;

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        tattler(self.0.path()).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command and checks its exit status and its only line on standard error.
    #[track_caller]
    fn fails(&self, arguments: &[&str], status: i32, line: &str) -> Output {
        let output = self.run(arguments);
        assert_eq!(text(&output.stderr), format!("tattler: {line}\n"), "{arguments:?}");
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        output
    }
}

fn tattler(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tattler"));
    // No backtrace may be shown, even if RUST_BACKTRACE requests a backtrace.
    command.current_dir(directory).env("RUST_BACKTRACE", "1");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A capture, with link type raw IP, of SYNs from one local to some remotes, one second apart.
fn capture(remotes: u8) -> Vec<u8> {
    let remote = |n: u8| format!("2a{n:02x}::1").parse().unwrap();
    let local = "2001:db8::e014:9aff:5e49:ecb3".parse().unwrap();
    common::pcap((1..=remotes).map(|n| (n.into(), local, remote(n), 443)))
}

#[test]
fn unreadable_files_are_named_with_the_way_out() {
    let files = Files::new();
    files.write("empty", "");
    files.write("program", b"\x7fELF\x02\x01");
    files.write("lines", format!("{PROBE}\n"));
    let mut unknown = capture(1);
    unknown[20] = 105;
    files.write("wifi.pcap", unknown);
    files.write("nothing.pcap", capture(0));
    files.write("letter", "dear reader\n");
    files.write("kern.log", "Sep  1 01:41:54 router kernel: drop: IN=wan0 OUT= SRC=2a0d:5600::29 DST=2001:db8::1\n");
    for command in ["packets", "analyze"] {
        for (file, line) in [
            ("missing", "cannot read missing: no such file or directory: check the name"),
            ("red\u{1b}[31m\nline", "cannot read red\\u{1b}[31m\\nline: no such file or directory: check the name"),
            ("empty", "empty is empty: give a capture, a log or JSON Lines"),
            (
                "program",
                "unknown format of program: give a pcap or pcapng file, a log or JSON Lines, plain, gzip or zstd",
            ),
            (
                "wifi.pcap",
                "wifi.pcap has link type 105, which is not supported: capture on an Ethernet, PPP, tun or loopback \
                 device, or on `any`",
            ),
        ] {
            assert!(files.fails(&[command, file], 1, line).stdout.is_empty());
        }
    }
    for (name, what) in [("lines", "JSON Lines"), ("letter", "text"), ("kern.log", "firewall log")] {
        let line = "`tattler packets` takes pcap and pcapng, plain, gzip or zstd";
        files.fails(&["packets", name], 1, &format!("{name} is no capture, but {what}: {line}"));
    }
    files.fails(&["packets", "nothing.pcap"], 1, "nothing.pcap has nothing to read: capture again");
    files.fails(&["packets", "."], 1, "cannot read .: is a directory: name the files in it");
}

#[test]
fn a_truncated_capture_yields_its_packets_and_fails() {
    let files = Files::new();
    let whole = capture(3);
    files.write("cut.pcap", &whole[..whole.len() - 10]);
    let line = "cut.pcap is cut short at frame 3: all before it counts, fetch or capture it again for the rest";
    let output = files.fails(&["packets", "cut.pcap"], 1, line);
    assert_eq!(text(&output.stdout).lines().count(), 2);
}

#[test]
fn a_bad_file_is_reported_and_the_others_are_printed() {
    let files = Files::new();
    files.write("good.pcap", capture(2));
    let line = "cannot read missing: no such file or directory: check the name";
    let output = files.fails(&["packets", "good.pcap", "missing", "good.pcap"], 1, line);
    assert_eq!(text(&output.stdout).lines().count(), 4);
}

#[test]
fn bad_lines_are_reported_with_their_numbers() {
    let files = Files::new();
    let bad = format!("{PROBE}\nnonsense\n{PROBE}\n{}\n", PROBE.replace("22,", "70000,"));
    files.write("lines", bad);
    let output = files.run(&["analyze", "lines"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "tattler: lines:2: no JSON object, and no line of a known log: line skipped\n\
                    tattler: lines:4: port is 70000, not a number from 0 to 65535: line skipped\n";
    assert_eq!(text(&output.stderr), expected);

    files.write("many", "x\n".repeat(1_000));
    let output = files.run(&["analyze", "many"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr.lines().count(), 11);
    assert!(stderr.ends_with("tattler: many: 990 more lines skipped, 1000 of 1000 in all: fix or remove them\n"));
}

#[test]
fn a_home_that_can_not_be_inferred_is_a_usage_error() {
    let files = Files::new();
    files.write("one.pcap", capture(1));
    files.write("two.pcap", capture(2));
    let line = "cannot infer the home prefix of one.pcap: it may be 2001:db8::/64 or 2a01::/64: give --home PREFIX";
    files.fails(&["analyze", "one.pcap"], 2, line);
    assert!(files.run(&["analyze", "two.pcap"]).status.success());
    assert!(files.run(&["analyze", "--home", "2001:db8::/48", "one.pcap"]).status.success());

    // The truncation may be the reason for the second problem, so the truncation is reported first.
    files.write("cut.pcap", &capture(2)[..120]);
    let output = files.run(&["analyze", "cut.pcap"]);
    let cut = "is cut short at frame";
    let rest = "all before it counts, fetch or capture it again for the rest";
    let line = line.replace("one.pcap", "cut.pcap");
    assert_eq!(text(&output.stderr), format!("tattler: cut.pcap {cut} 2: {rest}\ntattler: {line}\n"));
    assert_eq!(output.status.code(), Some(2));
    // In a file without frames, --home would not help.
    files.write("header.pcap", &capture(1)[..60]);
    files.fails(&["analyze", "header.pcap"], 1, &format!("header.pcap {cut} 1: {rest}"));

    let mut child = tattler(files.0.path())
        .args(["analyze", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&capture(2)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line =
        "tattler: standard input can be read only once, so the home prefix can not be inferred: give --home PREFIX\n";
    assert_eq!(text(&output.stderr), line);
}

#[test]
fn wrong_arguments_give_one_line_and_status_2() {
    let files = Files::new();
    files.write("two.pcap", capture(2));
    for (arguments, line) in [
        (&[][..], "no command given: see `tattler --help`"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate': see `tattler --help`"),
        (&["packets"], "the following required arguments were not provided: <FILE>...: see `tattler packets --help`"),
        (&["analyze"], "the following required arguments were not provided: <FILE>...: see `tattler analyze --help`"),
        (
            &["analyze", "--top", "many", "two.pcap"],
            "invalid value 'many' for '--top <N>': expected a whole number: see `tattler analyze --help`",
        ),
        (
            &["analyze", "--home", "fd00::/8", "two.pcap"],
            "invalid value 'fd00::/8' for '--home <PREFIX>': not in 2000::/3, and only global unicast addresses can \
             be home: see `tattler analyze --help`",
        ),
        (
            &["analyze", "--since", "yesterday", "two.pcap"],
            "invalid value 'yesterday' for '--since <TIME>': expected a time as 2026-09-01, \
             2026-09-01T12:00:00Z, 2h or 3d: see `tattler analyze --help`",
        ),
        (
            &["analyze", "--format", "xml", "two.pcap"],
            "invalid value 'xml' for '--format <FORMAT>' [possible values: table, json, csv]: see `tattler analyze --help`",
        ),
        (
            &["analyze", "--since", "2026-09-02", "--until", "2026-09-01", "two.pcap"],
            "--since 2026-09-02T00:00:00.000Z is after --until 2026-09-01T00:00:00.000Z: swap them",
        ),
    ] {
        files.fails(arguments, 2, line);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let files = Files::new();
    for argument in ["--help", "--version"] {
        let output = files.run(&[argument]);
        assert!(output.status.success() && !output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn a_closed_output_ends_the_command_quietly() {
    let files = Files::new();
    let mut many = capture(200);
    let frames = many[24..].repeat(200);
    many.extend(frames);
    files.write("many.pcap", many);
    let mut child = tattler(files.0.path())
        .args(["packets", "many.pcap"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
