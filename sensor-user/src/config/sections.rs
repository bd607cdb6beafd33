//! Which key goes where.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::reader::{FileProblems, Section};
use super::values::{self, number, text};
use super::{Config, FileLocation};

/// A hundred years: beyond it is a slip.
const MOST_DAYS: u32 = 36_500;
/// Keys that one could look for in another section.
const ELSEWHERE: [(&str, &str); 20] = [
    ("interfaces", "sensor"),
    ("interface", "sensor"),
    ("state", "sensor"),
    ("socket", "sensor"),
    ("listen", "sensor"),
    ("attach", "sensor"),
    ("prefixes", "home"),
    ("public", "home"),
    ("add", "home"),
    ("retention_days", "store"),
    ("retention", "store"),
    ("window_days", "store"),
    ("window", "store"),
    ("max_size_mib", "store"),
    ("remotes", "exclude"),
    ("ports", "exclude"),
    ("devices", "exclude"),
    ("keep_mac", "privacy"),
    ("ring_mib", "kernel"),
    ("map_entries", "kernel"),
];

/// Where values that are checked against each other came from.
#[derive(Default)]
pub(super) struct WindowLocations {
    pub retention: Option<FileLocation>,
    pub window: Option<FileLocation>,
}

/// Puts what a file says over what is there.
pub(super) fn apply(
    config: &mut Config,
    places: &mut WindowLocations,
    table: &DeTable<'_>,
    findings: &mut FileProblems<'_>,
) {
    let mut file = Section::new("", table);
    if let Some(mut section) = file.section("sensor", "sensor", findings) {
        let sensor = &mut config.sensor;
        section.read_list("interfaces", &mut sensor.interfaces, findings, text(values::interface, "wan0"));
        section.read("state", &mut sensor.state, findings, text(values::path, "/var/lib/tattler"));
        section.read("socket", &mut sensor.socket, findings, text(values::socket, "/run/tattler/tattler.sock"));
        section.read("listen", &mut sensor.listen, findings, text(values::listen, "[::1]:9646"));
        section.read("attach", &mut sensor.attach, findings, text(values::attach, "auto"));
        section.finish(findings, &ELSEWHERE);
    }
    if let Some(mut section) = file.section("home", "home", findings) {
        let home = &mut config.home;
        let prefix = text(values::home_prefix, "2001:db8::/48");
        section.read_list("prefixes", &mut home.prefixes, findings, &prefix);
        section.read_list("add", &mut home.add, findings, &prefix);
        section.read_list("exclude", &mut home.exclude, findings, &prefix);
        section.read_list("public", &mut home.public, findings, text(values::remote, "2001:db8::80"));
        section.read_list("nat64", &mut home.nat64, findings, text(values::remote, "2001:db8:64::/96"));
        section.finish(findings, &ELSEWHERE);
    }
    if let Some(mut section) = file.section("store", "store", findings) {
        let store = &mut config.store;
        let days = number(1..=MOST_DAYS);
        let retention = section.read("retention_days", &mut store.retention_days, findings, &days);
        let window = section.read("window_days", &mut store.window_days, findings, &days);
        section.read("max_size_mib", &mut store.max_size_mib, findings, number(0..=u32::MAX));
        places.retention = retention.or(places.retention.take());
        places.window = window.or(places.window.take());
        section.finish(findings, &ELSEWHERE);
    }
    if let Some(mut section) = file.section("exclude", "exclude", findings) {
        let exclude = &mut config.exclude;
        section.read_list("devices", &mut exclude.devices, findings, text(str::parse, "00:53:00:12:34:56"));
        section.read_list("remotes", &mut exclude.remotes, findings, text(values::remote, "2001:db8::/32"));
        section.read_list("ports", &mut exclude.ports, findings, values::port);
        section.finish(findings, &ELSEWHERE);
    }
    if let Some(mut section) = file.section("names", "names", findings) {
        if let Some(names) = section.section("devices", "names.devices", findings) {
            read_names(&names, &mut config.names.devices, findings, FromStr::from_str);
        }
        if let Some(names) = section.section("prefixes", "names.prefixes", findings) {
            read_names(&names, &mut config.names.prefixes, findings, values::remote);
        }
        section.finish(findings, &[]);
    }
    if let Some(mut section) = file.section("privacy", "privacy", findings) {
        section.read("keep_mac", &mut config.privacy.keep_mac, findings, values::truth);
        section.finish(findings, &ELSEWHERE);
    }
    if let Some(mut section) = file.section("kernel", "kernel", findings) {
        let kernel = &mut config.kernel;
        section.read("ring_mib", &mut kernel.ring_mib, findings, |value| {
            let mib = number(1..=1024)(value)?;
            if mib.is_power_of_two() { Ok(mib) } else { Err(format!("expected a power of two, found {mib}")) }
        });
        section.read("map_entries", &mut kernel.map_entries, findings, number(1_024..=16_777_216));
        section.finish(findings, &ELSEWHERE);
    }
    file.finish(findings, &ELSEWHERE);
}

/// Adds names to those that are there. Two spellings of one key in a file are a problem.
fn read_names<K: Ord + Display + Clone>(
    section: &Section<'_, '_>,
    names: &mut BTreeMap<K, String>,
    findings: &mut FileProblems<'_>,
    parse: impl Fn(&str) -> Result<K, String>,
) {
    let mut here: Vec<K> = Vec::new();
    for (key, value) in section.entries() {
        let parsed = match parse(key.get_ref()) {
            Ok(parsed) => parsed,
            Err(what) => {
                let shown: &str = key.get_ref();
                let what = if what.contains(shown) { what } else { format!("`{shown}`: {what}") };
                findings.add(key.span(), what);
                continue;
            }
        };
        if here.contains(&parsed) {
            findings.add(key.span(), format!("{parsed} has a name already; give it one name"));
            continue;
        }
        match text(values::name, "printer")(value.get_ref() as &DeValue<'_>) {
            Ok(name) => {
                here.push(parsed.clone());
                names.insert(parsed, name);
            }
            Err(what) => findings.add(value.span(), format!("name of {parsed}: {what}")),
        }
    }
}
