//! `tattler status`: what the sensor watches, keeps and loses.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use tattler_core::words::plural;

use super::query::{self, Print};
use crate::agent::SensorStatus;
use crate::contract::Request;
use crate::query::csv::cell;
use crate::query::from_store::Holdings;

/// What the running sensor watches, keeps and loses.
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
        let print = Print::<Holdings> { table: holdings, csv: pairs, notes: |_| Vec::new() };
        return arguments.query.ask(&request, &print);
    }
    arguments.query.ask(&request, &Print::<SensorStatus> { table, csv: pairs, notes: |_| Vec::new() })
}

/// What a store holds, for people.
fn holdings(holdings: &Holdings) -> String {
    let mut text = format!("store       {}, {} kB\n", holdings.state, holdings.store_bytes / 1_000);
    text += &match (holdings.from, holdings.to) {
        (Some(from), Some(to)) => format!("covers      {from} to {to}\n"),
        _ => "covers      nothing\n".to_owned(),
    };
    text + &format!("window      {}\n", window([holdings.locals, holdings.contacts, holdings.probes]))
}

/// What is there to judge by.
fn window([locals, contacts, probes]: [u64; 3]) -> String {
    let (locals, contacts) = (plural(locals, "local", "locals"), plural(contacts, "contact", "contacts"));
    format!("{locals}, {contacts}, {}", plural(probes, "probe", "probes"))
}

/// Any status as names and values: `events.0.matched`.
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

/// The status for people: a line for each thing, zeros of give-ups left out.
fn table(status: &SensorStatus) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<10}  {value}");
    };
    line("sensor", format!("tattler {}, running since {}", status.version, status.started));
    if status.clock_steps > 0 {
        let times = plural(status.clock_steps, "time", "times");
        line("clock", format!("set {times}; observations of this boot were redated"));
    }
    if status.clock_doubted {
        line("clock", "far ahead of the time known before; for a day nothing is deleted by it".to_owned());
    }
    for uplink in &status.uplinks {
        let down = if uplink.up { "" } else { ", down" };
        let how = if uplink.mode == "tc" { "TC".to_owned() } else { format!("XDP {}", uplink.mode) };
        line("uplink", format!("{}, {how}{down}", uplink.interface));
    }
    for why in &status.unwatched {
        line("unwatched", why.clone());
    }
    if status.home.is_empty() {
        line("home", "nothing yet: no packet counts; set it with --home".to_owned());
    }
    for prefix in &status.home {
        line("home", prefix.to_string());
    }
    line("window", window([status.locals, status.contacts, status.probes]));
    let evicted = [status.evicted_locals, status.evicted_contacts, status.evicted_probes];
    if evicted != [0; 3] {
        let of_these = format!("{} of these probes are evidence", status.evicted_evidence);
        line("window", format!("full: {} dropped to make room; {of_these}", window(evicted)));
    }
    if let Some(as_of) = status.suspects_as_of {
        let age = status.suspects_age_seconds.unwrap_or_default();
        let behind = if age > 0.0 { format!(", {age:.0} s behind what came in") } else { String::new() };
        line("suspects", format!("worked out {as_of}{behind}"));
    }
    if status.exposed_locals > 0 {
        line(
            "exposed",
            format!("{} with a port that is open to strangers", plural(status.exposed_locals, "local", "locals")),
        );
    }
    if status.answered_pings > 0 {
        line(
            "exposed",
            format!("{} answered pings, which opens no port", plural(status.answered_pings, "local", "locals")),
        );
    }
    for exposed in &status.exposed {
        let device = exposed.device.as_ref().map(|device| format!(" ({device})")).unwrap_or_default();
        let (local, service) = (exposed.local, exposed.service());
        let (answer, source, last) = (&exposed.answer, exposed.source, exposed.last);
        let note = if exposed.open { "" } else { ", which it had contacted" };
        line("exposed", format!("{local}{device} {service}: sent {answer} to {source}{note} at {last}"));
    }
    for events in &status.events {
        let fates = format!("{} recorded, {} held back, {} lost", events.recorded, events.held_back, events.lost);
        line(&format!("{}s", events.what), format!("{} matched = {fates}", events.matched));
    }
    for gave_up in &status.gave_up {
        line("gave up", format!("{} packets at {}: {}", gave_up.packets, gave_up.direction, gave_up.reason));
    }
    if status.invalid > 0 {
        line("ring", format!("{} records that none of our programs writes", status.invalid));
    }
    if status.set_aside > 0 {
        line("set aside", format!("{} events dropped: the remote is behind NAT64, or home", status.set_aside));
    }
    if status.lost_between > 0 {
        line("restart", format!("{} events of an earlier run of the sensor are lost", status.lost_between));
    }
    line(
        "store",
        format!(
            "{}, {} kB, {} stored, {} lost",
            status.state,
            status.store_bytes / 1_000,
            status.stored,
            status.store_lost
        ),
    );
    if status.store_crowded_out > 0 {
        line("store", format!("{} rows deleted to make room, those that prove least first", status.store_crowded_out));
    }
    if status.store_capped > 0 {
        line(
            "store",
            format!("{} probes and answers that prove nothing not written: too many on one day", status.store_capped),
        );
    }
    if status.excluded > 0 {
        line("excluded", format!("{} observations, not recorded", status.excluded));
    }
    if let Some(failure) = &status.store_failure {
        line("store", format!("can't write: {failure}; {} observations wait", status.store_queued));
    }
    if let Some(file) = &status.store_damaged_file {
        line(
            "store",
            format!(
                "{} damaged and set aside, the last as {file}",
                plural(status.store_damaged, "database", "databases")
            ),
        );
    }
    text
}
