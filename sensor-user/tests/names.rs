//! Names from the configuration, in queries and in `forget`, without a running sensor.
#![cfg(feature = "live")]

use std::fs;
use std::path::Path;
use std::process::Command;

use sensor_user::store::Store;
use tattler_files::jsonl;

const MAC: [u8; 6] = [0, 0x53, 0, 0x12, 0x34, 0x56];

/// Standard output on success, else standard error.
fn tattler(arguments: &[&str], dir: &Path) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_tattler"))
        .args(arguments)
        .args(["--state", "state", "--config", "tattler.toml"])
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// A store with two devices, and a configuration that names one device by its MAC address and has a public local.
fn household(dir: &Path) {
    let mut store = Store::open(&dir.join("state")).unwrap();
    let printer = store.device_key().unwrap().id(MAC);
    let line = |device: &str, n: u32| {
        format!(
            r#"{{"type":"contact","ts":"2026-09-01T10:00:00Z","local":"2001:db8::e014:9aff:5e49:{n}","remote":"3fff::1","proto":"tcp","port":443,"device":"{device}"}}"#
        )
    };
    let lines = [
        line(&printer, 1),
        line("dev-00000002", 2),
        r#"{"type":"probe","ts":"2026-09-01T11:00:00Z","source":"3fff:5::1","target":"2001:db8::e014:9aff:5e49:1","kind":"syn","port":22}"#.to_owned(),
    ];
    store.append(&lines.map(|line| jsonl::parse(line.as_bytes()).unwrap())).unwrap();
    let config = r#"
        [home]
        public = ["2001:db8::e014:9aff:5e49:2"]
        [names.devices]
        "00-53-00-12-34-56" = "Printer"
        [names.prefixes]
        "3fff::/32" = "a site"
        "3fff:5::/32" = "a scanner"
    "#;
    fs::write(dir.join("tattler.toml"), config).unwrap();
}

#[test]
fn queries_of_a_directory_show_configured_names() {
    let dir = tempfile::tempdir().unwrap();
    household(dir.path());
    let ask = |arguments: &[&str]| tattler(arguments, dir.path()).unwrap();
    let contacts = ask(&["contacts", "device", "printer"]);
    assert!(contacts.contains("49:1 (Printer)") && contacts.contains("3fff::1 (a site)"), "{contacts}");
    assert!(!contacts.contains("49:2"), "{contacts}");
    let locals = ask(&["locals", "public", "--format", "csv"]);
    assert!(locals.lines().count() == 2 && locals.contains("2001:db8::e014:9aff:5e49:2,"), "{locals}");
    assert!(ask(&["scanners"]).contains("a scanner"));
    let explained = ask(&["explain", "3fff::1"]);
    assert!(explained.contains("2001:db8::e014:9aff:5e49:1 (Printer), "), "{explained}");
    let explained: serde_json::Value = serde_json::from_str(&ask(&["explain", "3fff::1", "--format", "json"])).unwrap();
    let visits = explained["visits"].as_array().unwrap();
    let named: Vec<_> = visits.iter().map(|v| (v["device_name"].as_str(), v["class"].as_str().unwrap())).collect();
    assert_eq!(named, [(Some("Printer"), "temporary"), (None, "public")]);
    assert_eq!(visits[1]["device"], "dev-00000002");
    let csv = ask(&["explain", "3fff::1", "--format", "csv"]);
    assert!(csv.starts_with("contact,local,device,device_name,class,") && csv.contains(",Printer,temporary,"), "{csv}");
}

#[test]
fn a_device_is_forgotten_by_name_and_an_unknown_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    household(dir.path());
    let forget = |device: &str| tattler(&["forget", device], dir.path());
    let unknown = "tattler: no device is called pritner, neither in the configuration nor in the diary; \
                   `tattler locals --by device` shows those there are\n";
    assert_eq!(forget("pritner"), Err(unknown.to_owned()));
    let said = |what: &str| Ok(format!("forgotten: {what}, 0 answers, 0 acknowledgements\n"));
    assert_eq!(forget("printer"), said("1 contact, 1 probe"));
    assert_eq!(forget("00:53:00:12:34:56"), said("0 contacts, 0 probes"));
    assert_eq!(forget("dev-00000002"), said("1 contact, 0 probes"));
    assert_eq!(tattler(&["contacts", "--format", "csv"], dir.path()).unwrap().lines().count(), 1);
}

#[test]
fn a_problem_of_a_named_configuration_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    household(dir.path());
    fs::write(dir.path().join("tattler.toml"), "[names]\ndevces = {}\n").unwrap();
    for arguments in [&["contacts"][..], &["forget", "printer"]] {
        let error = tattler(arguments, dir.path()).unwrap_err();
        assert!(error.starts_with("tattler: tattler.toml:2") && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn check_config_takes_the_file_as_argument_or_flag() {
    let dir = tempfile::tempdir().unwrap();
    household(dir.path());
    let check = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tattler"));
        command.arg("check-config").args(arguments).current_dir(dir.path()).output().unwrap()
    };
    let (placed, named) = (check(&["tattler.toml"]), check(&["--config", "tattler.toml"]));
    assert!(named.status.success() && named.stdout.starts_with(b"# read tattler.toml"), "{named:?}");
    assert_eq!(placed, named);
    assert_eq!(check(&["tattler.toml", "--config", "tattler.toml"]).status.code(), Some(2));
}
