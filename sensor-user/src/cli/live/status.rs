//! `tattler status`: prints the state of the sensor.

use std::fmt::{Display, Write};
use std::io;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use tattler_core::words::plural;

use super::query::{self, Printer};
use crate::agent::SensorStatus;
use crate::contract::Request;
use crate::query::csv::cell;
use crate::query::from_store::Holdings;

/// The state of the running sensor: uplinks, home, events, losses and the store.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler status --format json")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    query: query::Arguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let query::Arguments { since, until, .. } = arguments.query;
    let request = Request::Status { since, until };
    if arguments.query.state.is_some() {
        let print = Printer::<Holdings> { table: holdings, csv: pairs, notes: |_| Vec::new() };
        return arguments.query.ask(&request, &print);
    }
    arguments.query.ask(&request, &Printer::<SensorStatus> { table, csv: pairs, notes: |_| Vec::new() })
}

/// The content of a store, as text for people.
fn holdings(holdings: &Holdings) -> String {
    let mut text = format!("store       {}, {} kB\n", holdings.state, holdings.store_bytes / 1_000);
    text += &match (holdings.from, holdings.to) {
        (Some(from), Some(to)) => format!("covers      {from} to {to}\n"),
        _ => "covers      nothing\n".to_owned(),
    };
    text + &format!("window      {}\n", window([holdings.locals, holdings.contacts, holdings.probes]))
}

/// The numbers of locals, contacts and probes in the window, as text.
fn window([locals, contacts, probes]: [u64; 3]) -> String {
    let (locals, contacts) = (plural(locals, "local", "locals"), plural(contacts, "contact", "contacts"));
    format!("{locals}, {contacts}, {}", plural(probes, "probe", "probes"))
}

/// Writes any status as pairs of name and value. A name has the form `events.0.matched`.
fn pairs(status: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    fn each(name: &str, value: &Value, give: &mut dyn FnMut(&str, &str) -> io::Result<()>) -> io::Result<()> {
        let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match value {
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| each(&below(key), value, give)),
            Value::Array(list) => {
                list.iter().enumerate().try_for_each(|(i, value)| each(&below(&i.to_string()), value, give))
            }
            value => give(name, &cell(value)),
        }
    }
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["name", "value"])?;
    let value = serde_json::to_value(status).map_err(io::Error::from)?;
    each("", &value, &mut |name, value| Ok(writer.write_record([name, value])?))?;
    writer.flush()
}

/// Lines of text, each with a name and a value.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name:<10}  {value}");
    }
}

/// The status as text for people. Numbers that are usually zero are left out if they are zero.
fn table(status: &SensorStatus) -> String {
    let mut lines = Lines::default();
    lines.line("sensor", format!("tattler {}, running since {}", status.version, status.started));
    clock(status, &mut lines);
    network(status, &mut lines);
    lines.line("window", window([status.locals, status.contacts, status.probes]));
    let evicted = [status.evicted_locals, status.evicted_contacts, status.evicted_probes];
    if evicted != [0; 3] {
        let of_these = format!("{} of these probes are evidence", status.evicted_evidence);
        lines.line("window", format!("full: {} dropped to make room; {of_these}", window(evicted)));
    }
    if let Some(as_of) = status.suspects_as_of {
        let age = status.suspects_age_seconds.unwrap_or_default();
        let behind = if age > 0.0 { format!(", {age:.0} s behind the latest observation") } else { String::new() };
        lines.line("suspects", format!("as of {as_of}{behind}"));
    }
    exposed(status, &mut lines);
    events(status, &mut lines);
    store(status, &mut lines);
    lines.0
}

fn clock(status: &SensorStatus, lines: &mut Lines) {
    if status.clock_steps > 0 {
        let times = plural(status.clock_steps, "time", "times");
        lines.line("clock", format!("set {times}; observations of this boot were redated"));
    }
    if status.clock_doubted {
        lines.line("clock", "far ahead of the last known time; nothing is deleted by age for a day");
    }
}

fn network(status: &SensorStatus, lines: &mut Lines) {
    for uplink in &status.uplinks {
        let down = if uplink.up { "" } else { ", down" };
        let how = if uplink.mode == "tc" { "TC".to_owned() } else { format!("XDP {}", uplink.mode) };
        lines.line("uplink", format!("{}, {how}{down}", uplink.interface));
    }
    for why in &status.unwatched {
        lines.line("unwatched", why);
    }
    if status.home.is_empty() {
        lines.line("home", "nothing yet: no packet counts; set it with --home");
    }
    status.home.iter().for_each(|prefix| lines.line("home", prefix));
}

fn exposed(status: &SensorStatus, lines: &mut Lines) {
    let locals = |n| plural(n, "local", "locals");
    if status.exposed_locals > 0 {
        lines.line("exposed", format!("{} with a port that is open to strangers", locals(status.exposed_locals)));
    }
    if status.answered_pings > 0 {
        lines.line("exposed", format!("{} answered pings, which opens no port", locals(status.answered_pings)));
    }
    for exposed in &status.exposed {
        let device = exposed.device.as_ref().map(|device| format!(" ({device})")).unwrap_or_default();
        let (local, service) = (exposed.local, exposed.service());
        let (answer, source, last) = (&exposed.answer, exposed.source, exposed.last);
        let note = if exposed.open { "" } else { ", which it had contacted" };
        lines.line("exposed", format!("{local}{device} {service}: sent {answer} to {source}{note} at {last}"));
    }
}

fn events(status: &SensorStatus, lines: &mut Lines) {
    for events in &status.events {
        let fates = format!("{} recorded, {} held back, {} lost", events.recorded, events.held_back, events.lost);
        lines.line(&format!("{}s", events.what), format!("{} matched = {fates}", events.matched));
    }
    for gave_up in &status.gave_up {
        lines.line("gave up", format!("{} packets at {}: {}", gave_up.packets, gave_up.direction, gave_up.reason));
    }
    if status.invalid > 0 {
        lines.line("ring", format!("{} invalid records", status.invalid));
    }
    if status.set_aside > 0 {
        lines.line("set aside", format!("{} events whose remote is behind NAT64, or home", status.set_aside));
    }
    if status.lost_between > 0 {
        lines.line("restart", format!("{} events lost between two runs of the sensor", status.lost_between));
    }
}

fn store(status: &SensorStatus, lines: &mut Lines) {
    let (kb, stored, lost) = (status.store_bytes / 1_000, status.stored, status.store_lost);
    lines.line("store", format!("{}, {kb} kB, {stored} stored, {lost} lost", status.state));
    if status.store_crowded_out > 0 {
        lines.line(
            "store",
            format!("{} rows deleted to make room, those that prove least first", status.store_crowded_out),
        );
    }
    if status.store_capped > 0 {
        let what = "probes and answers that prove nothing not written: too many on one day";
        lines.line("store", format!("{} {what}", status.store_capped));
    }
    if status.excluded > 0 {
        lines.line("excluded", format!("{} observations, not recorded", status.excluded));
    }
    if let Some(failure) = &status.store_failure {
        lines.line("store", format!("can't write: {failure}; {} observations wait", status.store_queued));
    }
    if let Some(file) = &status.store_damaged_file {
        let damaged = plural(status.store_damaged, "database", "databases");
        lines.line("store", format!("{damaged} damaged and set aside, the last as {file}"));
    }
}
