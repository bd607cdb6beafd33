//! `tattler status`: how the sensor is.

use std::fmt::Write;
use std::process::ExitCode;

use super::query;
use crate::agent::Status;
use crate::socket::Request;

/// How the running sensor is: what it watches, keeps and loses.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler status --format json")]
pub(super) struct Arguments {
    #[command(flatten)]
    query: query::Arguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.query.ask(&Request::Status {}, table)
}

/// The status for people: a line for each thing, zeros of give-ups left out.
fn table(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<10}  {value}");
    };
    line("sensor", format!("tattler {}, running since {}", status.version, status.started));
    for uplink in &status.uplinks {
        let down = if uplink.up { "" } else { ", down" };
        line("uplink", format!("{}, XDP {}{down}", uplink.interface, uplink.mode));
    }
    if status.home.is_empty() {
        line("home", "nothing yet: no packet counts; set it with --home".to_owned());
    }
    for prefix in &status.home {
        line("home", prefix.to_string());
    }
    line("window", format!("{} locals, {} contacts, {} probes", status.locals, status.contacts, status.probes));
    if status.exposed_locals > 0 {
        line("exposed", format!("{} hosts behind this router are open to strangers", status.exposed_locals));
    }
    for exposed in &status.exposed {
        let device = exposed.device.as_ref().map(|device| format!(" ({device})")).unwrap_or_default();
        let (local, service) = (exposed.local, exposed.service());
        let (answer, source, last) = (&exposed.answer, exposed.source, exposed.last);
        line("exposed", format!("{local}{device} {service}: sent {answer} to {source} at {last}"));
    }
    for events in &status.events {
        let fates = format!("{} recorded, {} held back, {} lost", events.recorded, events.held_back, events.lost);
        line(&format!("{}s", events.what), format!("{} matched = {fates}", events.matched));
    }
    for gave_up in &status.gave_up {
        line("gave up", format!("{} packets at {}: {}", gave_up.packets, gave_up.direction, gave_up.reason));
    }
    if status.invalid > 0 {
        line("ring", format!("{} records that no program of ours writes", status.invalid));
    }
    if status.set_aside > 0 {
        line("set aside", format!("{} events of remotes that are none: behind NAT64, or home", status.set_aside));
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
        line("store", format!("{} of the oldest rows deleted to make room", status.store_crowded_out));
    }
    if status.excluded > 0 {
        line("excluded", format!("{} observations, not recorded", status.excluded));
    }
    if let Some(failure) = &status.store_failure {
        line("store", format!("can't write: {failure}"));
    }
    text
}
