//! The sensor sets a damaged database aside, warns, and continues with a new one. Runs as root.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use tempfile::TempDir;
use tests::eventually;
use tests::programs::{succeed, tattler, tool};
use tests::sensor::{Sensor, WAN0, fails};
use tests::stored::Stored;
use tests::traffic::{ping, visit};
use tests::world::{HOST, SCANNER, SITE, World};

/// Overwrites the page that a table or an index begins with.
fn damage(state: &Path, name: &str) {
    let path = state.join("tattler.db");
    let database = Connection::open(&path).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let sql = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{name}'");
    let page: u32 = database.query_row(&sql, [], |row| row.get(0)).unwrap();
    let size: u32 = database.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0xa5; size as usize], u64::from(page - 1) * u64::from(size)).unwrap();
}

/// The databases that were set aside, in order of time.
fn asides(state: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("tattler.db.damaged-") && name.ends_with('Z')
    };
    let mut all: Vec<_> = all.filter(is_aside).collect();
    all.sort();
    all
}

fn at(arguments: &[&str], state: &Path) -> Command {
    let mut command = Command::new(tattler());
    command.args(arguments).arg("--state").arg(state);
    command
}

/// Checks that one log line names both files and the way out, and that status and metrics report the damage.
#[track_caller]
fn has_set_aside(sensor: &Sensor<'_>, state: &Path, damaged: &Path) {
    let log = sensor.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("is damaged")).collect();
    assert_eq!(told.len(), 1, "{log}");
    let (from, to) = (state.join("tattler.db").display().to_string(), damaged.display().to_string());
    assert!(told[0].contains(&from) && told[0].contains(&format!("set aside as {to}")), "{log}");
    assert!(told[0].contains(&format!("`sqlite3 {to} .dump`")) && told[0].contains("WARN"), "{log}");
    assert_eq!(fs::metadata(damaged).unwrap().permissions().mode() & 0o777, 0o600);
    let status = sensor.status();
    assert_eq!((&status["store_damaged"], status["store_damaged_file"].as_str()), (&1.into(), Some(to.as_str())));
    assert_eq!(status["store_failure"], serde_json::Value::Null);
    assert!(sensor.metrics().contains("tattler_store_damaged_databases_total 1\n"));
    assert_eq!(sensor.get("/healthz").0, 200);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_at_the_start() {
    let (world, dir) = (World::new(), TempDir::new().unwrap());
    let state = dir.path();
    let garbage = "this is no database, and long enough to be looked at".repeat(99);
    fs::write(state.join("tattler.db"), &garbage).unwrap();
    let contact = r#"{"type":"contact","ts":"2026-09-01T01:41:54Z","local":"2001:db8::1","remote":"2a3d::1","proto":"tcp","port":443}"#;
    fs::write(state.join("in.jsonl"), contact).unwrap();
    // Other commands leave the file where it is, and say that `tattler run` sets it aside.
    let input = state.join("in.jsonl").display().to_string();
    for arguments in [&["import", &input][..], &["forget", "printer"], &["ack", "2a05::53"], &["probes"], &["status"]] {
        fails(&mut at(arguments, state), 1, &["tattler.db is damaged", "`tattler run` sets it aside"]);
    }
    assert_eq!(fs::read_to_string(state.join("tattler.db")).unwrap(), garbage);
    let sensor = Sensor::start(&world.router, state, &WAN0);
    let damaged = asides(state);
    assert_eq!(damaged.len(), 1);
    has_set_aside(&sensor, state, &damaged[0]);
    assert_eq!(fs::read_to_string(&damaged[0]).unwrap(), garbage);
    visit(&world, SITE, 80);
    sensor.wait_stored(1);
    let said = succeed(Command::new(tattler()).args(["status", "--socket"]).arg(sensor.socket()));
    assert!(said.contains("1 database damaged and set aside, the last as /"), "{said}");
    sensor.stop();
    // The next start finds no damage.
    let sensor = Sensor::start(&world.router, state, &WAN0);
    assert!(!sensor.log().contains("damaged") && sensor.status()["store_damaged"] == 0, "{}", sensor.log());
    sensor.stop();
    assert_eq!(asides(state), damaged);
}

#[test]
fn a_damaged_page_is_found_at_the_start_and_device_names_stay() {
    for table in ["probes", "contacts", "meta"] {
        let (world, dir) = (World::new(), TempDir::new().unwrap());
        let state = dir.path();
        let sensor = Sensor::start(&world.router, state, &WAN0);
        visit(&world, SITE, 80);
        ping(&world.internet, SCANNER, HOST);
        sensor.wait_stored(3);
        sensor.stop();
        let before = Stored::read(state);
        let key = |path: &Path| {
            let database = Connection::open(path).unwrap();
            database.query_row("SELECT value FROM meta WHERE key = 'device-key'", [], |r| r.get::<_, [u8; 32]>(0))
        };
        let kept = key(&state.join("tattler.db")).unwrap();
        damage(state, table);

        let sensor = Sensor::start(&world.router, state, &WAN0);
        let damaged = asides(state);
        has_set_aside(&sensor, state, &damaged[0]);
        assert_eq!(sensor.log().contains("devices get new names"), table == "meta", "{}", sensor.log());
        visit(&world, SITE, 81);
        sensor.wait_stored(1);
        sensor.stop();
        assert_eq!(Stored::read(state).contacts.len(), 1);
        assert_eq!(key(&state.join("tattler.db")).unwrap() == kept, table != "meta");

        // The readable rows can be recovered, as docs/guide.md says.
        let recovered = TempDir::new().unwrap();
        let mut shell = tool("sh");
        let script = r#"{ sqlite3 "$1" .dump | sed '$d'; echo "COMMIT; PRAGMA user_version = $(sqlite3 "$1" 'PRAGMA user_version');"; } | sqlite3 "$2""#;
        shell.args(["-c", script, "sh"]).arg(&damaged[0]).arg(recovered.path().join("tattler.db"));
        succeed(&mut shell);
        let lines = succeed(&mut at(&["export", "--all"], recovered.path()));
        assert_eq!(lines.contains("\"contact\""), table != "contacts", "{lines}");
        let rows = Stored::read(recovered.path());
        assert!(table == "probes" || rows.probes == before.probes);
        assert!(table == "contacts" || rows.contacts == before.contacts);
    }
}

#[test]
fn damage_that_a_query_finds_is_set_aside_and_memory_stays() {
    let (world, dir) = (World::new(), TempDir::new().unwrap());
    let state = dir.path();
    let sensor = Sensor::start(&world.router, state, &WAN0);
    visit(&world, SITE, 80);
    ping(&world.internet, SCANNER, HOST);
    sensor.wait_stored(3);
    damage(state, "answers");
    let mut ask = Command::new(tattler());
    ask.args(["probes", "--socket"]).arg(sensor.socket());
    fails(&mut ask, 1, &["tattler.db is damaged"]);
    let damaged = eventually("it is set aside", || asides(state).pop());
    eventually("it is counted", || (sensor.status()["store_damaged"] == 1).then_some(()));
    has_set_aside(&sensor, state, &damaged);
    let said = succeed(&mut ask);
    assert!(!said.contains(&SCANNER.to_string()), "the new one is empty: {said}");
    assert_eq!((&sensor.status()["contacts"], &sensor.status()["probes"]), (&1.into(), &1.into()), "memory stays");
    visit(&world, SITE, 81);
    sensor.wait_stored(4);
    sensor.stop();
    assert_eq!(Stored::read(state).contacts.len(), 1);
}
