//! Arguments, progress and summary, common to all commands that read files.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use jiff::tz::TimeZone;
use tattler_files::{ReadProgress, ReadSummary};

use super::{arguments, complain, terminal};

/// Arguments for reading files.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// A home prefix for captures, logs and flow records; may be given again. Inferred if not given.
    #[arg(long, value_name = "PREFIX", value_parser = crate::config::home_prefix)]
    pub(super) home: Vec<Ipv6Net>,
    /// The zone of times without a zone, such as Europe/Berlin or +01:00. Default: this machine's zone.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,
    /// The year of the first line of a log without years. Inferred if not given.
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(1990..=2200))]
    year: Option<i16>,
}

impl Arguments {
    /// The options for `tattler_files`.
    pub(super) fn options(&self) -> tattler_files::ReadOptions {
        tattler_files::ReadOptions {
            home: self.home.clone(),
            zone: Some(self.timezone.clone().unwrap_or_else(TimeZone::system)),
            year: self.year,
            now: Some(arguments::now()),
            progress: io::stderr().is_terminal().then_some(show),
            ..tattler_files::ReadOptions::default()
        }
    }
}

/// Reads a time zone: a name, an offset, or a POSIX rule.
fn zone(text: &str) -> Result<TimeZone, String> {
    let offset = || format!("2026-01-01T00:00:00{text}").parse::<jiff::Timestamp>().ok();
    let fixed = || {
        let base: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().ok()?;
        let seconds = base.as_second() - offset()?.as_second();
        jiff::tz::Offset::from_seconds(i32::try_from(seconds).ok()?).ok().map(TimeZone::fixed)
    };
    if text.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    fixed()
        .or_else(|| TimeZone::get(text).ok())
        .or_else(|| TimeZone::posix(text).ok())
        .ok_or_else(|| "no zone as Europe/Berlin or +01:00; names need the package tzdata".into())
}

/// If reading takes longer, the rate is reported. First the limit if standard error is a terminal, then otherwise.
const LONG: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// The shortest interval between updates of the progress line.
const OFTEN: Duration = Duration::from_millis(200);

/// Time of the last update of the progress line; `None`: no line is shown.
static SHOWN: Mutex<Option<Instant>> = Mutex::new(None);

/// Updates the progress line on the terminal.
fn show(progress: &ReadProgress<'_>) {
    let Ok(mut shown) = SHOWN.lock() else { return };
    if shown.is_some_and(|at| at.elapsed() < OFTEN) {
        return;
    }
    *shown = Some(Instant::now());
    let part = match progress.size {
        // A file that grows may yield more bytes than the file had when it was opened.
        Some(size) if size > 0 => format!("{:3} %", (progress.read.min(size) * 100) / size),
        _ => format!("{} MB", progress.read / 1_000_000),
    };
    // The pass that finds home is named, because the next pass begins at 0 % again.
    let pass = if progress.finds_home { "finding home: " } else { "" };
    terminal::show(&format!("{pass}{part} of "), progress.name, &format!(", {} lines or frames", progress.items));
}

/// Removes the progress line, if one is shown.
fn wipe() {
    if let Ok(mut shown) = SHOWN.lock()
        && shown.take().is_some()
    {
        terminal::wipe();
    }
}

/// Reports a fault of an input.
pub(super) fn report(fault: tattler_files::Fault) {
    wipe();
    complain(fault);
}

/// Reports the inferred home prefixes, and the rate if reading took long.
pub(super) fn end(summary: &ReadSummary, began: Instant) {
    wipe();
    if summary.home_is_inferred {
        let home: Vec<String> = summary.home.iter().map(ToString::to_string).collect();
        complain(format_args!(
            "home is {}, inferred from most exchanges: give --home if that is wrong",
            home.join(", ")
        ));
    }
    let took = began.elapsed();
    if took > LONG[usize::from(!io::stderr().is_terminal())] {
        let items = summary.lines + summary.frames;
        let rate = items as f64 / took.as_secs_f64();
        complain(format_args!(
            "read {items} lines and frames in {:.0} s, {rate:.0} a second: {} observations",
            took.as_secs_f64(),
            summary.observations
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_name_an_offset_or_a_rule() {
        let noon: jiff::Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        let hour = |text| noon.to_zoned(zone(text).unwrap()).hour();
        assert_eq!((hour("UTC"), hour("+01:00"), hour("-0330")), (12, 13, 8));
        assert_eq!(hour("CET-1CEST,M3.5.0,M10.5.0/3"), 14);
        assert!(zone("Nowhere/Town").is_err());
    }
}
