//! Progress is shown only on a terminal.
#![cfg(feature = "live")]

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::FromRawFd;
use std::process::{Command, Stdio};
use std::ptr;
use std::thread;

/// A pseudo-terminal with `columns` columns: the test's end and the program's end.
fn terminal(columns: u16) -> (File, File) {
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: all pointers are valid during the call; name and termios may be null.
    let opened =
        unsafe { libc::openpty(&raw mut ours, &raw mut theirs, ptr::null_mut(), ptr::null(), &raw const size) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: openpty has just opened both descriptors, and nothing else owns the descriptors.
    unsafe { (File::from_raw_fd(ours), File::from_raw_fd(theirs)) }
}

#[test]
fn progress_is_one_line_that_fits_and_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("a-name-{}-that-is-long.jsonl", "so".repeat(40)));
    let line = r#"{"type":"probe","ts":"2026-09-01T03:51:56Z","source":"2a0d:5600::29","target":"2001:db8::e014:9aff:5e49:ecb3","kind":"syn","port":22}"#;
    fs::write(&path, format!("{line}\n").repeat(60_000)).unwrap();

    let (mut ours, theirs) = terminal(60);
    let reading = thread::spawn(move || {
        let mut shown = Vec::new();
        // After the program has closed its end, Linux reports an error instead of an end of file.
        let _ = ours.read_to_end(&mut shown);
        String::from_utf8(shown).unwrap()
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_tattler"));
    let output = command.arg("analyze").arg(&path).stderr(Stdio::from(theirs)).stdout(Stdio::piped()).output().unwrap();
    drop(command);
    let shown = reading.join().unwrap();
    assert!(output.status.success() && !output.stdout.contains(&0x1b));
    let lines: Vec<&str> = shown.split("\r\x1b[K").collect();
    assert_eq!((lines.first(), lines.last()), (Some(&""), Some(&"")), "{shown:?}");
    assert!(lines.len() > 2 && !shown.contains('\n'), "{shown:?}");
    for line in &lines[1..lines.len() - 1] {
        let text = line.strip_prefix("\x1b[?7l").and_then(|line| line.strip_suffix("\x1b[?7h")).unwrap();
        assert!(text.contains(" % of …") && text.contains("that-is-long.jsonl, "), "{text:?}");
        assert!(text.ends_with(" lines or frames") && text.chars().count() == 59, "{text:?}");
    }

    // In a pipe no progress is shown.
    let piped = Command::new(env!("CARGO_BIN_EXE_tattler")).arg("analyze").arg(&path).output().unwrap();
    assert_eq!((piped.stderr.as_slice(), &piped.stdout), (&b""[..], &output.stdout));
}
