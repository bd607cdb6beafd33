//! What all commands that read files have in common: arguments, progress, and a word at the end.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipnet::Ipv6Net;
use jiff::tz::TimeZone;
use tattler_core::time::Time;
use tattler_files::{ReadProgress, ReadSummary};

use super::{complain, terminal};

/// How files are to be read.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// What is home in captures, logs and flow records; may be given more than once. Found out if it
    /// is not given.
    #[arg(long, value_name = "PREFIX", value_parser = crate::config::home_prefix)]
    pub(super) home: Vec<Ipv6Net>,
    /// The zone of times that name none, as Europe/Berlin or +01:00. This machine's if not given.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,
    /// The year of the first line of a log without years. Found out if not given.
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i16).range(1990..=2200))]
    year: Option<i16>,
}

impl Arguments {
    /// For the sources.
    pub(super) fn options(&self) -> tattler_files::ReadOptions {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        tattler_files::ReadOptions {
            home: self.home.clone(),
            zone: Some(self.timezone.clone().unwrap_or_else(TimeZone::system)),
            year: self.year,
            now: Some(Time(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))),
            progress: io::stderr().is_terminal().then_some(show),
            ..tattler_files::ReadOptions::default()
        }
    }
}

/// A time zone: a name, an offset, or a rule as in POSIX.
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

/// Reading that takes longer than this says how fast it was: on a terminal, and elsewhere.
const LONG: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// How often a terminal is told.
const OFTEN: Duration = Duration::from_millis(200);

/// When the line on the terminal was last written.
static SHOWN: Mutex<Option<Instant>> = Mutex::new(None);

/// One line on the terminal, which overwrites itself.
fn show(progress: &ReadProgress<'_>) {
    let Ok(mut shown) = SHOWN.lock() else { return };
    if shown.is_some_and(|at| at.elapsed() < OFTEN) {
        return;
    }
    *shown = Some(Instant::now());
    let part = match progress.size {
        // More than it had when it was opened: it grows.
        Some(size) if size > 0 => format!("{:3} %", (progress.read.min(size) * 100) / size),
        _ => format!("{} MB", progress.read / 1_000_000),
    };
    // What follows begins at 0 % again.
    let pass = if progress.finds_home { "finding home: " } else { "" };
    terminal::show(&format!("{pass}{part} of "), progress.name, &format!(", {} lines or frames", progress.items));
}

/// The line is wiped, so that what follows begins at the margin.
fn wipe() {
    if let Ok(mut shown) = SHOWN.lock()
        && shown.take().is_some()
    {
        terminal::wipe();
    }
}

/// Tells what is wrong with an input.
pub(super) fn tell(fault: tattler_files::Fault) {
    wipe();
    complain(fault);
}

/// What is to be said after reading: what was taken for home, and how fast it was if it took long.
pub(super) fn end(summary: &ReadSummary, began: Instant) {
    wipe();
    if summary.home_is_inferred {
        let home: Vec<String> = summary.home.iter().map(ToString::to_string).collect();
        complain(format_args!("home is {}, which most exchanges end in: give --home if it is not", home.join(", ")));
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
