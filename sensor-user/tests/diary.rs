//! The commands of the diary: backup and restore, forget, ack, and imports that are killed or run out of
//! space. The tests need root, to mount a small file system and to run as other users.
#![cfg(feature = "live")]

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use sensor_user::contract::Request;
use sensor_user::socket;

const TATTLER: &str = env!("CARGO_BIN_EXE_tattler");
const NOBODY: u32 = 65_534;

fn command(arguments: &[&str], state: &Path) -> Command {
    let mut command = Command::new(TATTLER);
    command.args(arguments).arg("--state").arg(state).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], state: &Path) -> (i32, String, String) {
    outcome(&command(arguments, state).output().unwrap())
}

fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn ok(arguments: &[&str], state: &Path) -> String {
    let (status, out, err) = run(arguments, state);
    assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// JSON lines with recent contacts and probes, newer than any retention limit.
fn lines(count: u64) -> String {
    let now = jiff::Timestamp::now().as_second() as u64;
    let ts = |n: u64| jiff::Timestamp::from_second((now - 100_000 + n % 90_000) as i64).unwrap();
    let line = |n: u64| match n % 2 {
        0 => format!(
            r#"{{"type":"contact","ts":"{}","local":"2001:db8:1:2:{:x}:9aff:5e49:ecb3","remote":"2a05:{:x}::{:x}","proto":"tcp","port":443}}"#,
            ts(n),
            n % 50 + 0x4000,
            n * 7_919 % 0xffff,
            n % 0xffff
        ),
        _ => format!(
            r#"{{"type":"probe","ts":"{}","source":"2a0d:5600::{:x}","target":"2001:db8:1:2:{:x}:9aff:5e49:ecb3","kind":"syn","port":22}}"#,
            ts(n),
            n % 0xffff,
            n % 50 + 0x4000
        ),
    };
    (0..count).map(|n| line(n) + "\n").collect()
}

#[test]
fn a_backup_is_restored_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let input = dir.path().join("in.jsonl");
    let answer = lines(2).lines().nth(1).unwrap().replace("\"probe\"", "\"answer\"");
    fs::write(&input, lines(5_000) + &answer).unwrap();
    let said = ok(&["import", input.to_str().unwrap()], &one);
    assert_eq!(said, "5001 observations: 5001 new rows, 0 merged\n");
    let said = ok(&["ack", "2a05::/16", "--until", "2099-01-01", "--note", "ours: \"quoted\"\nand long"], &one);
    assert_eq!(said, "2a05::/16 is acknowledged until 2099-01-01T00:00:00.000Z\n");

    let backup = dir.path().join("backup.jsonl");
    assert_eq!(ok(&["export", "--all", "-o", backup.to_str().unwrap()], &one), "");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "no draft is left");
    ok(&["import", backup.to_str().unwrap()], &two);
    let restored = ok(&["export", "--all"], &two);
    assert_eq!(restored, fs::read_to_string(&backup).unwrap());
    assert_eq!(restored.lines().count(), 5_002);
    assert_eq!(ok(&["export"], &two).lines().count(), 5_000);
    let said = ok(&["import", backup.to_str().unwrap()], &two);
    assert_eq!(said, "5001 observations: 0 new rows, 5001 merged; 1 acknowledgements\n");
}

#[test]
fn acknowledgements_are_listed_undone_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path();
    for mistyped in [&["ack", "--list"][..], &["ack", "2a05::53"], &["forget", "2a05::53"]] {
        let (status, _, err) = run(mistyped, state);
        assert!(status == 1 && err.starts_with("tattler: there is no database in "), "{err}");
        assert_eq!(fs::read_dir(state).unwrap().count(), 0, "{mistyped:?} made something");
    }
    let input = state.join("in.jsonl");
    fs::write(&input, lines(1)).unwrap();
    ok(&["import", input.to_str().unwrap()], state);
    assert_eq!(ok(&["ack", "--list"], state), "Nothing is acknowledged.\n");
    ok(&["ack", "2a05::53", "--note", "our\tmonitor"], state);
    let list = ok(&["ack", "--list"], state);
    assert!(list.starts_with("2a05::53 ") && list.ends_with("for good                        our monitor\n"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&ok(&["ack", "--list", "--format", "json"], state)).unwrap();
    assert_eq!((json[0]["remote"].as_str(), json[0]["until"].is_null()), (Some("2a05::53/128"), true));
    assert_eq!(ok(&["ack", "--undo", "2a05::53"], state), "2a05::53 is shown again\n");
    let (status, _, err) = run(&["ack", "--undo", "2a05::53"], state);
    assert_eq!(status, 1);
    assert_eq!(err, "tattler: 2a05::53 is not acknowledged; `tattler ack --list` shows what is\n");
    for wrong in [
        &["ack"][..],
        &["ack", "example.org"],
        &["ack", "2a05::53", "--undo", "2a05::53"],
        &["ack", "--list", "--note", "x"],
        &["forget"],
    ] {
        let (status, _, err) = run(wrong, state);
        assert_eq!((status, err.lines().count()), (2, 1), "{wrong:?}: {err}");
    }
}

#[test]
fn forgotten_rows_are_counted_and_leave_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let (state, input) = (dir.path().join("state"), dir.path().join("in.jsonl"));
    fs::write(&input, lines(5_000)).unwrap();
    ok(&["import", input.to_str().unwrap()], &state);
    let said = ok(&["forget", "2001:db8:1:2:4000:9aff:5e49:ecb3"], &state);
    assert_eq!(said, "forgotten: 100 contacts, 0 probes, 0 answers, 0 acknowledgements\n");
    let needle = "2001:db8:1:2:4000:9aff:5e49:ecb3".parse::<std::net::Ipv6Addr>().unwrap().octets();
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert!(!fs::read(&path).unwrap().windows(16).any(|bytes| bytes == needle), "{}", path.display());
    }
    let said = ok(&["forget", "--before", "2099-01-01"], &state);
    assert_eq!(said, "forgotten: 2400 contacts, 2500 probes, 0 answers, 0 acknowledgements\n");
    assert_eq!(ok(&["export", "--all"], &state), "");
}

#[test]
fn unusable_directories_and_files_are_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let (state, input) = (dir.path().join("state"), dir.path().join("in.jsonl"));
    fs::write(&input, lines(100)).unwrap();
    let import = ["import", input.to_str().unwrap()];
    let refused = |arguments: &[&str], expected: &str| {
        let (status, _, err) = run(arguments, &state);
        assert!(status == 1 && err.lines().count() == 1 && err.contains(expected), "{arguments:?}: {status} {err}");
    };
    refused(&["export"], "cannot use the state directory");
    fs::create_dir(&state).unwrap();
    refused(&["export"], "there is no database in");
    let holder = sensor_user::store::Store::open(&state).unwrap();
    for arguments in [&import[..], &["forget", "printer"], &["ack", "2a05::53"]] {
        refused(arguments, "in use by another tattler (process");
    }
    assert_eq!(ok(&["export"], &state), "", "an export does not mind");
    drop(holder);
    fs::write(state.join("tattler.db"), "no database at all, whatever its name says".repeat(50)).unwrap();
    for arguments in [&import[..], &["forget", "printer"], &["export"]] {
        refused(arguments, "is damaged");
    }
    fs::remove_file(state.join("tattler.db")).unwrap();
    ok(&import, &state);
    // If one of two files is missing, neither file is imported.
    let before = ok(&["export", "--all"], &state);
    let other = dir.path().join("other.jsonl");
    fs::write(&other, lines(400)).unwrap();
    refused(&["import", other.to_str().unwrap(), "/no/such/file"], "cannot read /no/such/file");
    assert_eq!(ok(&["export", "--all"], &state), before);
    // A bad line is reported and skipped; the other lines are imported.
    fs::write(&other, lines(100) + "nonsense\n").unwrap();
    let (status, out, err) = run(&["import", other.to_str().unwrap()], &state);
    assert_eq!((status, err.lines().count()), (1, 1), "{err}");
    assert!(out.ends_with("merged\n"), "{out}");
}

#[test]
fn a_killed_import_of_a_short_export_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let first = dir.path().join("first.jsonl");
    fs::write(&first, lines(1_000)).unwrap();
    ok(&["import", first.to_str().unwrap()], &state);
    let before = ok(&["export", "--all"], &state);

    let input = dir.path().join("all.jsonl");
    fs::write(&input, lines(60_000)).unwrap();
    let import = ["import", input.to_str().unwrap()];
    let whole = dir.path().join("whole");
    ok(&["import", first.to_str().unwrap()], &whole);
    let start = Instant::now();
    let said = ok(&import, &whole);
    assert!(said.starts_with("60000 observations: "), "{said}");
    let (duration, after) = (start.elapsed(), ok(&["export", "--all"], &whole));

    let mut undone = 0;
    for part in 1..=8 {
        let mut child = command(&import, &state).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(duration * part / 8);
        child.kill().unwrap();
        child.wait().unwrap();
        let now = ok(&["export", "--all"], &state);
        undone += u32::from(now == before);
        assert!(now == before || now == after, "killed after {part}/8: {} lines", now.lines().count());
    }
    assert!(undone > 0, "none was killed in time");
    ok(&import, &state);
    assert!(ok(&["export", "--all"], &state) == after);
    assert_eq!(ok(&import, &state), "60000 observations: 0 new rows, 60000 merged\n");
    assert!(ok(&["export", "--all"], &state) == after);
}

/// A recent firewall log. Each line is a distinct probe.
fn log(numbers: std::ops::Range<u64>) -> String {
    let now = jiff::Timestamp::now().as_second() as u64 / 3_600 * 3_600;
    let line = |n: u64| {
        format!(
            "{} router kernel: IN=wan0 OUT= SRC=2a0d:5600::{:x}:{:x} DST=2001:db8:1:2:e014:9aff:5e49:ecb3 LEN=60 TC=0 \
             HOPLIMIT=50 FLOWLBL=7 PROTO=TCP SPT=40000 DPT=22 WINDOW=1024 RES=0x00 SYN URGP=0 \n",
            jiff::Timestamp::from_second((now - 36_000 + n / 100) as i64).unwrap(),
            n >> 16,
            n & 0xffff
        )
    };
    numbers.map(line).collect()
}

/// The expected output of `import`.
fn said(observations: u64, new: u64, known: u64) -> String {
    let known = match known {
        0 => String::new(),
        known => format!("; {known} lines or frames were imported before (--again reads them again)"),
    };
    format!("{observations} observations: {new} new rows, {} merged{known}\n", observations - new)
}

#[test]
fn a_log_is_read_from_its_former_end_and_an_export_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (state, path) = (dir.path().join("state"), dir.path().join("kern.log"));
    let import = ["import", "--home", "2001:db8:1::/48", path.to_str().unwrap()];
    let again = ["import", "--again", "--home", "2001:db8:1::/48", path.to_str().unwrap()];
    fs::write(&path, log(0..1_000)).unwrap();
    assert_eq!(ok(&import, &state), said(1_000, 1_000, 0));
    assert_eq!(ok(&import, &state), said(0, 0, 1_000));
    fs::write(&path, log(0..1_007)).unwrap();
    assert_eq!(ok(&import, &state), said(7, 7, 1_000));
    assert_eq!(ok(&again, &state), said(1_007, 0, 0));
    assert_eq!(ok(&import, &state), said(0, 0, 1_007));
    // A backup does not contain positions, because positions refer to files of this machine.
    let backup = ok(&["export", "--all"], &state);
    assert_eq!(backup.lines().count(), 1_007);
    // Two exports with the same beginning; the new lines are in the middle of the second export.
    let lines: Vec<&str> = backup.lines().collect();
    let (one, two, elsewhere) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("elsewhere"));
    fs::write(&one, [&lines[..500], &lines[600..]].concat().join("\n")).unwrap();
    fs::write(&two, &backup).unwrap();
    assert_eq!(ok(&["import", one.to_str().unwrap()], &elsewhere), said(907, 907, 0));
    assert_eq!(ok(&["import", two.to_str().unwrap()], &elsewhere), said(1_007, 100, 0));
}

#[test]
fn an_import_of_a_long_log_resumes_where_it_stopped() {
    const LINES: u64 = 300_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kern.log");
    fs::write(&path, log(0..LINES)).unwrap();
    let import = ["import", "--home", "2001:db8:1::/48", path.to_str().unwrap()];
    let rows = |state: &Path| ok(&["export", "--all"], state).lines().count() as u64;

    let state = dir.path().join("killed");
    kill_after_a_chunk(&import, &state);
    let kept = rows(&state);
    assert!((200_000..LINES).contains(&kept), "{kept}");
    assert_eq!(ok(&import, &state), said(LINES - kept, LINES - kept, kept));
    assert_eq!(rows(&state), LINES);

    let disk = SmallDisk::new("30m");
    let state = disk.0.path().join("state");
    let (status, out, err) = run(&import, &state);
    assert_eq!((status, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    let kept = rows(&state);
    assert!((200_000..LINES).contains(&kept), "{kept}");
    let way_out = format!("; {kept} observations are imported: repeat the import to go on from there\n");
    assert!(err.contains("no room is left for /") && err.ends_with(&way_out), "{err}");
    disk.grow("500m");
    assert_eq!(ok(&import, &state), said(LINES - kept, LINES - kept, kept));
    assert_eq!(rows(&state), LINES);
}

/// Starts an import, and kills the process as soon as a part of the input is stored.
fn kill_after_a_chunk(import: &[&str], state: &Path) {
    let mut child = command(import, state).stdout(Stdio::null()).spawn().unwrap();
    // A part is stored together with its position.
    let is_kept = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(state.join("tattler.db"), flags)?;
        database.query_row("SELECT EXISTS (SELECT 1 FROM positions)", [], |row| row.get::<_, bool>(0))
    };
    let start = Instant::now();
    while !is_kept().unwrap_or(false) {
        assert!(start.elapsed().as_secs() < 120, "no chunk is kept");
        thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_import_of_a_long_export_resumes_where_it_stopped() {
    const LINES: u64 = 300_000;
    let dir = tempfile::tempdir().unwrap();
    let (state, other) = (dir.path().join("state"), dir.path().join("other"));
    let (log_path, path) = (dir.path().join("kern.log"), dir.path().join("backup.jsonl"));
    fs::write(&log_path, log(0..LINES)).unwrap();
    ok(&["import", "--home", "2001:db8:1::/48", log_path.to_str().unwrap()], &other);
    ok(&["ack", "2a05::/16", "--note", "ours"], &other);
    let key = sensor_user::store::Store::open(&other).unwrap().device_key().unwrap();
    let backup = ok(&["export", "--all"], &other);
    // The probes have a device, so that the key must be stored with the first part.
    fs::write(&path, backup.replace(r#""kind":"syn""#, r#""kind":"syn","device":"dev-00000001""#)).unwrap();

    // A store with a key of its own, which no row uses yet.
    sensor_user::store::Store::open(&state).unwrap().device_key().unwrap();
    let import = ["import", path.to_str().unwrap()];
    kill_after_a_chunk(&import, &state);
    let rows = || ok(&["export"], &state).lines().count() as u64;
    let kept = rows();
    assert!((200_000 - 2..LINES).contains(&kept), "{kept}");
    let acks = "; 1 acknowledgements";
    let went_on = said(LINES - kept, LINES - kept, kept + 2);
    assert_eq!(ok(&import, &state).replace(acks, ""), went_on);
    assert_eq!(rows(), LINES);
    assert!(sensor_user::store::Store::open(&state).unwrap().device_key().unwrap() == key);
    assert!(ok(&["ack", "--list"], &state).contains("ours"));
    assert_eq!(ok(&import, &state).replace(acks, ""), said(LINES, 0, 0));
}

/// Flow records of one direction each. Every eighth record is the answer to the preceding record. One record in
/// sixteen lasted ten minutes, so that the flow began before flows that precede it in the file.
fn flows(numbers: std::ops::Range<u64>) -> String {
    let now = jiff::Timestamp::now().as_second() as u64 / 3_600 * 3_600;
    let line = |n: u64| {
        let of = n - u64::from(n % 8 == 7);
        let lasts = if n % 16 == 3 { 600 } else { 0 };
        let at = jiff::Timestamp::from_second((now - 36_000 + of / 20 - lasts) as i64).unwrap().strftime("%F %T.000");
        let (there, here) =
            (format!("2a0d:5600::{:x}:{:x}", of >> 16, of & 0xffff), "2001:db8:1:2:e014:9aff:5e49:ecb3");
        if n == of {
            format!("{at},{lasts}.000,TCP,{there},50000,{here},22,......S.,1,60\n")
        } else {
            format!("{at},{lasts}.000,TCP,{here},22,{there},50000,...A..S.,1,60\n")
        }
    };
    let lines: String = numbers.map(line).collect();
    format!("firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,flags,packets,bytes\n{lines}")
}

#[test]
fn an_import_of_flow_records_resumes_before_waiting_records() {
    let dir = tempfile::tempdir().unwrap();
    let (state, whole, path) = (dir.path().join("state"), dir.path().join("whole"), dir.path().join("flows.csv"));
    fs::write(&path, flows(0..400_000)).unwrap();
    let import = ["import", "--timezone", "UTC", "--home", "2001:db8:1::/48", path.to_str().unwrap()];
    ok(&import, &whole);
    kill_after_a_chunk(&import, &state);
    let all = |state: &Path| ok(&["export", "--all"], state);
    let kept = all(&state).lines().count();
    assert!((100_000..350_000).contains(&kept), "{kept}");
    let said = ok(&import, &state);
    // All records after the first record that was still waiting are read again and merged.
    let (_, known) = said.split_once("merged; ").unwrap();
    let known: u64 = known.split(' ').next().unwrap().parse().unwrap();
    assert!((100_000..300_000).contains(&known) && !said.contains(" 0 merged"), "{said}");
    assert!(all(&state) == all(&whole));
    assert!(ok(&import, &state).starts_with("0 observations: 0 new rows, 0 merged; 400001 lines"));
}

/// A small file system, unmounted on drop.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> SmallDisk {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "none"])
            .arg(dir.path())
            .status();
        assert!(mounted.unwrap().success(), "this test mounts a file system: run it as root");
        SmallDisk(dir)
    }

    fn grow(&self, size: &str) {
        let remount = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &remount]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn an_import_that_fills_the_disk_changes_nothing() {
    let disk = SmallDisk::new("8m");
    let state = disk.0.path().join("state");
    let dir = tempfile::tempdir().unwrap();
    let (small, large) = (dir.path().join("small.jsonl"), dir.path().join("large.jsonl"));
    fs::write(&small, lines(1_000)).unwrap();
    fs::write(&large, lines(300_000)).unwrap();
    ok(&["import", small.to_str().unwrap()], &state);
    let before = ok(&["export", "--all"], &state);

    let (status, out, err) = run(&["import", large.to_str().unwrap()], &state);
    assert_eq!((status, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    assert!(err.contains("no room is left for /") && err.contains("tattler.db"), "{err}");
    assert_eq!(ok(&["export", "--all"], &state), before);
    // The failed import must leave the space free.
    ok(&["import", small.to_str().unwrap()], &state);
}

/// Runs a program as a user who does not own the diary and whose only group is `group`.
fn as_user(group: u32, program: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program);
    let become_nobody = move || {
        // SAFETY: the arguments of the calls are plain numbers, and a list that is valid during the call that takes it.
        let failed = unsafe {
            libc::setgroups(1, &raw const group) != 0 || libc::setgid(NOBODY) != 0 || libc::setuid(NOBODY) != 0
        };
        if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec `become_nobody` makes only async-signal-safe system calls.
    unsafe { command.pre_exec(become_nobody) };
    outcome(&command.args(arguments).stdin(Stdio::null()).output().unwrap())
}

#[test]
fn a_member_of_the_group_may_query_but_not_read_the_files() {
    let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let state = dir.path().join("state");
    let input = dir.path().join("in.jsonl");
    fs::write(&input, lines(10)).unwrap();
    ok(&["import", input.to_str().unwrap()], &state);
    // Make a copy of the program that other users may run.
    let program = dir.path().join("tattler");
    fs::copy(TATTLER, &program).unwrap();
    let program = program.to_str().unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = dir.path().join("run/tattler.sock");
    let listener = {
        let _guard = runtime.enter();
        socket::Listener::bind(&path).unwrap()
    };
    // This group stands for the group `tattler`, which may not exist on this machine.
    let (group, stranger) = (54_321, 54_322);
    chown(path.parent().unwrap(), None, Some(group)).unwrap();
    chown(&path, None, Some(group)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    runtime.spawn(socket::serve(
        listener,
        Arc::new(|request| match request {
            Request::Acks {} => Ok(serde_json::json!([])),
            Request::Forget { .. } => Err("it was let through".into()),
            _ => Err("not asked here".into()),
        }),
        std::future::pending(),
    ));
    let socket = path.to_str().unwrap();

    let (status, out, err) = as_user(group, program, &["ack", "--list", "--socket", socket]);
    assert_eq!((status, out.as_str(), err.as_str()), (0, "Nothing is acknowledged.\n", ""));
    let (status, _, err) = as_user(stranger, program, &["ack", "--list", "--socket", socket]);
    assert_eq!((status, err.lines().count()), (1, 1), "{err}");
    assert!(err.contains("permission denied; ask as root or as a member of the group tattler"), "{err}");

    // Only the owner may forget.
    let (status, _, err) = as_user(group, program, &["forget", "printer", "--socket", socket]);
    assert_eq!(status, 1);
    assert_eq!(err, "tattler: only root and the user that the sensor runs as may ask it to forget\n");
    let (_, _, err) = outcome(&Command::new(program).args(["forget", "printer", "--socket", socket]).output().unwrap());
    assert_eq!(err, "tattler: it was let through\n");

    for file in ["tattler.db", "tattler.lock"] {
        let file = state.join(file);
        assert!(file.exists());
        let (status, out, _) = as_user(group, "/bin/cat", &[file.to_str().unwrap()]);
        assert_eq!((status, out.as_str()), (1, ""), "{}", file.display());
    }
    let (status, _, err) = as_user(group, program, &["export", "--state", state.to_str().unwrap()]);
    assert!(status == 1 && err.contains("permission denied; run as its owner"), "{err}");
}
