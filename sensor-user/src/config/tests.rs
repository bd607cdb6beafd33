//! Tests with configuration files as people write them.

use std::fs;
use std::path::PathBuf;

use tattler_core::exclusions::Port;

use super::*;

/// A directory with a main file and the files of `conf.d`.
struct Files(tempfile::TempDir);

impl Files {
    fn new(main: &str) -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        files.write("tattler.toml", main);
        files
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("tattler.toml")
    }

    fn load(&self) -> Result<Config, Vec<String>> {
        let dir = format!("{}/", self.0.path().display());
        match load(Some(&self.main())) {
            Ok(loaded) => Ok(loaded.config),
            Err(Problems(problems)) => Err(problems.iter().map(|p| p.to_string().replace(&dir, "")).collect()),
        }
    }
}

fn problems(text: &str) -> Vec<String> {
    Files::new(text).load().expect_err("there are problems")
}

#[test]
fn the_sample_holds_the_defaults_and_its_examples_are_valid() {
    let sample = include_str!("../../../dist/tattler.toml");
    assert_eq!(Files::new(sample).load(), Ok(Config::default()));

    // An example is a comment with `key = value`. If the key has a default value, the example is below that value.
    let is_example = |line: &str| {
        let code = line.strip_prefix("# ")?;
        let (key, value) = code.split_once(" = ")?;
        let quoted = key.starts_with('"') && key.ends_with('"');
        let plain = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (quoted || plain && value.starts_with('[')).then_some((key.to_owned(), code.to_owned()))
    };
    let mut lines: Vec<String> = Vec::new();
    let mut examples = 0;
    for line in sample.lines() {
        match is_example(line) {
            Some((key, code)) => {
                examples += 1;
                lines.retain(|known| !(known.starts_with(&format!("{key} = ["))));
                lines.push(code);
            }
            None => lines.push(line.to_owned()),
        }
    }
    assert_eq!(examples, 8);
    let config = Files::new(&lines.join("\n")).load().unwrap();
    assert_eq!(config.sensor.interfaces, ["ppp0", "wg-provider"]);
    assert_eq!(
        config.exclude.ports,
        [Port { proto: None, number: 123 }, Port { proto: Some(sensor_common::Proto::Udp), number: 51820 }]
    );
    assert_eq!(config.names.devices.values().collect::<Vec<_>>(), ["printer"]);
}

#[test]
fn every_key_is_in_the_sample() {
    let sample = include_str!("../../../dist/tattler.toml");
    let written = toml::to_string(&Config::default()).unwrap();
    for line in written.lines().filter(|line| !line.is_empty() && *line != "[names]") {
        assert!(sample.contains(line), "the sample lacks {line}");
    }
}

#[test]
fn a_printed_configuration_reads_back_the_same() {
    let text = r#"
        [sensor]
        interfaces = ["ppp0"]
        listen = ""
        [home]
        add = ["2001:db8:1::/48"]
        public = ["2001:db8:1::80"]
        [exclude]
        devices = ["00-53-00-12-34-56", "d1a2"]
        ports = [123, "udp/443"]
        [names.devices]
        "00:53:00:12:34:56" = "printer"
        [names.prefixes]
        "2001:db8:53::/48" = "our resolver"
    "#;
    let config = Files::new(text).load().unwrap();
    assert_eq!(config.sensor.listen, None);
    assert_eq!(Files::new(&toml::to_string(&config).unwrap()).load(), Ok(config));
}

#[test]
fn later_files_replace_keys_and_add_names() {
    let files =
        Files::new("[store]\nretention_days = 10\nwindow_days = 5\n[names.devices]\na1 = \"one\"\nb2 = \"two\"");
    files.write("conf.d/20.toml", "[store]\nretention_days = 20");
    files.write("conf.d/10.toml", "[store]\nretention_days = 15\nwindow_days = 7\n[names.devices]\nb2 = \"second\"");
    files.write("conf.d/30.toml.bak", "no toml");
    files.write("conf.d/.hidden.toml", "no toml");
    let config = files.load().unwrap();
    assert_eq!((config.store.retention_days, config.store.window_days), (20, 7));
    assert_eq!(config.names.devices.values().collect::<Vec<_>>(), ["one", "second"]);
}

#[test]
fn unknown_keys_are_reported_with_location_and_spelling() {
    let text = "[sensor]\ninterface = [\"ppp0\"]\n\n[hom]\n[store]\n  retention-days = 3\nlisten = \"\"\n[privacy]\ncolour = 1";
    assert_eq!(
        problems(text),
        [
            "tattler.toml:2:1: unknown key sensor.interface; did you mean interfaces?",
            "tattler.toml:4:2: unknown section or key hom; did you mean home?",
            "tattler.toml:6:3: unknown key store.retention-days; did you mean retention_days?",
            "tattler.toml:7:1: unknown key store.listen; it belongs to [sensor]",
            "tattler.toml:9:1: unknown key privacy.colour; known here: keep_mac",
        ]
    );
    assert_eq!(problems("listen = \"\""), ["tattler.toml:1:1: unknown section or key listen; it belongs to [sensor]"]);
}

#[test]
fn wrong_types_and_values_say_what_is_expected() {
    let text = concat!(
        "[sensor]\ninterfaces = \"ppp0\"\nlisten = 9646\nstate = \"here\"\n",
        "[home]\nadd = [\"fd00::/48\", 7]\n",
        "[store]\nretention_days = \"38\"\nwindow_days = 0\nmax_size_mib = -1\n",
        "[exclude]\nports = [0, \"sctp/1\"]\ndevices = [\"my printer\"]\n",
        "[names.devices]\n\"00:53:00:00:00:0g\" = \"x\"\n",
        "[kernel]\nring_mib = 3\n"
    );
    assert_eq!(
        problems(text),
        [
            "tattler.toml:2:14: sensor.interfaces: expected a list in brackets, found text",
            "tattler.toml:3:10: sensor.listen: expected text as \"[::1]:9646\", found a number",
            "tattler.toml:4:9: sensor.state: `here`: expected a path that begins with /",
            "tattler.toml:6:8: home.add: `fd00::/48`: not in 2000::/3, and only global unicast addresses can be home",
            "tattler.toml:6:21: home.add: expected text as \"2001:db8::/48\", found a number",
            "tattler.toml:8:18: store.retention_days: expected a whole number from 1 to 36500, found text",
            "tattler.toml:9:15: store.window_days: expected a whole number from 1 to 36500, found 0",
            "tattler.toml:10:16: store.max_size_mib: expected a whole number from 0 to 4294967295, found -1",
            "tattler.toml:12:10: exclude.ports: expected a port as 443, \"tcp/443\" or \"udp/443\", found 0",
            "tattler.toml:12:13: exclude.ports: expected a port as 443, \"tcp/443\" or \"udp/443\", found `sctp/1`",
            "tattler.toml:13:12: exclude.devices: `my printer` is neither a MAC address as 00:53:00:12:34:56 nor the id of a device",
            "tattler.toml:15:1: `00:53:00:00:00:0g` is no MAC address as 00:53:00:12:34:56",
            "tattler.toml:17:12: kernel.ring_mib: expected a power of two, found 3",
        ]
    );
}

#[test]
fn a_window_longer_than_the_retention_has_a_location() {
    let files = Files::new("[store]\nretention_days = 20");
    let expected = "is longer than store.retention_days 20; attribution can't see what is not kept";
    assert_eq!(files.load().unwrap_err(), [format!("tattler.toml:2:18: store.window_days 30 {expected}")]);
    files.write("conf.d/a.toml", "\n[store]\nwindow_days = 21");
    assert_eq!(files.load().unwrap_err(), [format!("conf.d/a.toml:3:15: store.window_days 21 {expected}")]);
}

#[test]
fn text_that_is_not_toml_is_reported_in_one_line() {
    let found = problems("[sensor]\nstate = /var/lib\n");
    assert!(found[0].starts_with("tattler.toml:2:9: not TOML: "), "{found:?}");
    for text in ["[sensor", "a = \"", "\u{0}", "[a]\n[a]\n", "x = 1\nx = 2\n", "= 3", "a.b.c = [[1,"] {
        for problem in problems(text) {
            assert!(problem.starts_with("tattler.toml:") && !problem.contains('\n'), "{text:?}: {problem}");
        }
    }
}

#[test]
fn problems_of_all_files_are_reported_at_once() {
    let files = Files::new("[a]");
    files.write("conf.d/1.toml", "[b]");
    fs::create_dir(files.0.path().join("conf.d/2.toml")).unwrap();
    fs::write(files.0.path().join("conf.d/3.toml"), b"\xff").unwrap();
    let found = files.load().unwrap_err();
    assert!(found[0].starts_with("tattler.toml:1:2: unknown section or key a;"), "{found:?}");
    assert!(found[1].starts_with("conf.d/1.toml:1:2: unknown section or key b;"), "{found:?}");
    assert_eq!(
        found[2..],
        ["conf.d/2.toml: cannot be read: not a file", "conf.d/3.toml: cannot be read: not UTF-8 text"]
    );
}

#[test]
fn a_named_file_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let Err(Problems(found)) = load(Some(&dir.path().join("none.toml"))) else { panic!("there is none") };
    assert!(found[0].to_string().ends_with("none.toml: cannot be read: no such file or directory"), "{}", found[0]);
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        problems("[sensor]\n\"ä\" = 1")[0],
        "tattler.toml:2:1: unknown key sensor.ä; known here: interfaces, state, socket, listen, attach"
    );
    let found = problems("[home]\nadd = [\"ä\", 1]");
    assert!(found[1].starts_with("tattler.toml:2:13:"), "{found:?}");
}
