//! Functions that read each key into its field.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::reader::{FileProblems, Section, report_unknown_keys};
use super::values::{self, number, text};
use super::{Config, FileLocation};

/// The largest number of days, a hundred years: a larger number is a typing error.
const MOST_DAYS: u32 = 36_500;
/// The locations of two values that are checked against each other.
#[derive(Default)]
pub(super) struct WindowLocations {
    pub retention: Option<FileLocation>,
    pub window: Option<FileLocation>,
}

/// Applies a file to the configuration.
pub(super) fn apply(
    config: &mut Config,
    locations: &mut WindowLocations,
    table: &DeTable<'_>,
    problems: &mut FileProblems<'_>,
) {
    let mut file = Section::new("", Some(table));

    let mut sensor = file.section("sensor", "sensor", problems);
    let to = &mut config.sensor;
    sensor.read_list("interfaces", &mut to.interfaces, problems, text(values::interface, "wan0"));
    sensor.read("state", &mut to.state, problems, text(values::path, "/var/lib/tattler"));
    sensor.read("socket", &mut to.socket, problems, text(values::socket, "/run/tattler/tattler.sock"));
    sensor.read("listen", &mut to.listen, problems, text(values::listen, "[::1]:9646"));
    sensor.read("attach", &mut to.attach, problems, text(values::attach, "auto"));

    let mut home = file.section("home", "home", problems);
    let to = &mut config.home;
    let prefix = text(values::home_prefix, "2001:db8::/48");
    home.read_list("prefixes", &mut to.prefixes, problems, &prefix);
    home.read_list("add", &mut to.add, problems, &prefix);
    home.read_list("exclude", &mut to.exclude, problems, &prefix);
    home.read_list("public", &mut to.public, problems, text(values::remote, "2001:db8::80"));
    home.read_list("nat64", &mut to.nat64, problems, text(values::remote, "2001:db8:64::/96"));

    let mut store = file.section("store", "store", problems);
    let to = &mut config.store;
    let days = number(1..=MOST_DAYS);
    let retention = store.read("retention_days", &mut to.retention_days, problems, &days);
    let window = store.read("window_days", &mut to.window_days, problems, &days);
    store.read("max_size_mib", &mut to.max_size_mib, problems, number(0..=u32::MAX));
    locations.retention = retention.or(locations.retention.take());
    locations.window = window.or(locations.window.take());

    let mut exclude = file.section("exclude", "exclude", problems);
    let to = &mut config.exclude;
    exclude.read_list("devices", &mut to.devices, problems, text(str::parse, "00:53:00:12:34:56"));
    exclude.read_list("remotes", &mut to.remotes, problems, text(values::remote, "2001:db8::/32"));
    exclude.read_list("ports", &mut to.ports, problems, values::port);

    let mut names = file.section("names", "names", problems);
    let devices = names.section("devices", "names.devices", problems);
    read_names(&devices, &mut config.names.devices, problems, FromStr::from_str);
    let prefixes = names.section("prefixes", "names.prefixes", problems);
    read_names(&prefixes, &mut config.names.prefixes, problems, values::remote);

    let mut privacy = file.section("privacy", "privacy", problems);
    privacy.read("keep_mac", &mut config.privacy.keep_mac, problems, values::truth);

    let mut kernel = file.section("kernel", "kernel", problems);
    let to = &mut config.kernel;
    kernel.read("ring_mib", &mut to.ring_mib, problems, |value| {
        let mib = number(1..=1024)(value)?;
        if mib.is_power_of_two() { Ok(mib) } else { Err(format!("expected a power of two, found {mib}")) }
    });
    kernel.read("map_entries", &mut to.map_entries, problems, number(1_024..=16_777_216));

    report_unknown_keys(&[file, sensor, home, store, exclude, names, privacy, kernel], problems);
}

/// Merges names into the existing names. Reports a problem if a file has the same key in two spellings.
fn read_names<K: Ord + Display + Clone>(
    section: &Section<'_, '_>,
    names: &mut BTreeMap<K, String>,
    problems: &mut FileProblems<'_>,
    parse: impl Fn(&str) -> Result<K, String>,
) {
    let mut here: Vec<K> = Vec::new();
    for (key, value) in section.entries() {
        let parsed = match parse(key.get_ref()) {
            Ok(parsed) => parsed,
            Err(what) => {
                let shown: &str = key.get_ref();
                let what = if what.contains(shown) { what } else { format!("`{shown}`: {what}") };
                problems.add(key.span(), what);
                continue;
            }
        };
        if here.contains(&parsed) {
            problems.add(key.span(), format!("{parsed} has a name already; give it one name"));
            continue;
        }
        match text(values::name, "printer")(value.get_ref() as &DeValue<'_>) {
            Ok(name) => {
                here.push(parsed.clone());
                names.insert(parsed, name);
            }
            Err(what) => problems.add(value.span(), format!("name of {parsed}: {what}")),
        }
    }
}
