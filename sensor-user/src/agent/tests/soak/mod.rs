//! Two months of a home in one process.
//!
//! The loop, the store's thread, the ledger and the suspects are the sensor's own; kernel and clocks are replaced.
//! Each turn of the loop covers ten minutes, and at the end of each day the process is measured. Left out: sockets,
//! HTTP, netlink's connection, and time itself, so that work of every second is done every ten minutes.

mod figures;
mod home;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sensor_common::wire::BootTime;
use serde_json::Value;
use tattler_core::live_report::LiveReport;
use tattler_core::time::{Span, Time};

use self::figures::{Figures, Head, Most, QUESTIONS, allocated, growth, is_compared, median, timed};
use self::home::{DAY, HARVESTERS, HOUR, SoakHome};
use super::FakePrograms;
use crate::agent::clock::ClockReading;
use crate::agent::intake::Sensor;
use crate::agent::serve::answer;
use crate::agent::state::Shared;
use crate::agent::suspects;
use crate::contract::Request;
use crate::contract::RowsQuestion;
use crate::store;

/// Days, unless the variable below is set.
const DAYS: &str = "62";
/// Set in the process that runs the soak.
const ALONE: &str = "TATTLER_SOAK_DAYS";
/// The time that one turn of the loop covers.
const TURN: BootTime = HOUR / 6;
/// The wall clock at boot.
const ORIGIN: Time = Time::from_seconds(1_790_000_000);
/// Nanoseconds since boot, for all clocks.
static BOOT: AtomicU64 = AtomicU64::new(0);

fn wall() -> Time {
    ORIGIN + ran()
}

fn ran() -> Span {
    Span((BOOT.load(Relaxed) / 1_000) as i64)
}

fn look() -> ClockReading {
    ClockReading { boot: BOOT.load(Relaxed), wall: wall(), took: Span(1) }
}

/// The sensor with the clocks of the soak.
fn sensor(dir: &Path, most_bytes: u64) -> (Sensor<FakePrograms>, Arc<Shared>) {
    let store = store::StoreSettings { clock: wall, ran, most_bytes, ..store::StoreSettings::default() };
    super::sensor(super::settings(dir, store), ORIGIN, look)
}

fn longest<T>(longest: &mut Duration, work: impl FnOnce() -> T) -> T {
    let (done, took) = timed(work);
    *longest = (*longest).max(took);
    done
}

fn ask(shared: &Shared, request: &Request) -> (Value, Duration) {
    timed(|| answer(shared, request).unwrap())
}

const SUSPECTS: Request = Request::Suspects { top: None, since: None, until: None };

/// Runs the turns of an hour, and the work at its end.
fn hour(
    (sensor, shared): (&mut Sensor<FakePrograms>, &Shared),
    day: &mut home::DayOfEvents,
    hour: BootTime,
    figures: &mut Figures,
) {
    let end = hour + HOUR;
    for turn in (hour..end).step_by(TURN as usize) {
        BOOT.store(turn + TURN, Relaxed);
        let due = day.events.partition_point(|event| event.time < turn + TURN);
        figures.events += due as u64;
        sensor.programs().waiting.extend(day.events.drain(..due));
        longest(&mut figures.turn, || while sensor.drain() > 0 {});
        let known = day.neighbours.partition_point(|&(at, _)| at < turn + TURN);
        let known: Vec<_> = day.neighbours.drain(..known).map(|(_, neighbour)| neighbour).collect();
        sensor.learn(&known);
        sensor.show();
        figures.queued = figures.queued.max(shared.store.queued());
    }
    sensor.next_hour();
    longest(&mut figures.turn, || while sensor.drain() > 0 {});
    // A thread does this within a second.
    longest(&mut figures.copy, || suspects::forget(shared));
    suspects::shown(shared);
    // The store prunes by the hour of real time, or at once after a reload.
    sensor.prune_store();
    // Waits for the store.
    shared.changes.as_ref().unwrap().with(|_| ()).unwrap();
}

fn day(
    (sensor, shared): (&mut Sensor<FakePrograms>, &Shared),
    home: &mut SoakHome,
    number: u64,
    asked: u64,
    dir: &Path,
) -> Figures {
    let mut figures = Figures::default();
    let mut day = home.day(number);
    sensor.follow_network(&day.network);
    let mut times = Vec::new();
    for n in 0..24 {
        hour((sensor, shared), &mut day, number * DAY + n * HOUR, &mut figures);
        // Once an hour, since the answer is kept until the next event.
        if n + asked >= 24 {
            times.push(ask(shared, &SUSPECTS).1);
        }
    }
    figures.answers[0] = median(&mut times);
    let questions = [
        Request::Contacts(RowsQuestion::default()),
        Request::Probes(RowsQuestion::default()),
        Request::Locals(RowsQuestion::default()),
        Request::Scanners(RowsQuestion::default()),
        Request::Suspects { top: None, since: Some(Time(0)), until: None },
    ];
    for (answer, question) in figures.answers[1..].iter_mut().zip(&questions) {
        *answer = median(&mut (0..asked).map(|_| ask(shared, question).1).collect::<Vec<_>>());
    }
    {
        let ledger = shared.ledger();
        figures.locals = ledger.locals().len() as u64;
        figures.contacts = ledger.contacts().len() as u64;
        figures.probes = ledger.probes().len() as u64;
        figures.addresses = ledger.addresses() as u64;
        figures.devices = ledger.locals().iter().filter_map(|local| local.device).max().map_or(0, u64::from);
    }
    figures.compared = shared.live().cost().1.compared;
    figures.used = shared.changes.as_ref().unwrap().with(|store| store.used().unwrap()).unwrap();
    figures.look(dir);
    figures
}

/// Two months of a home. `asked`: the number of times that each question is asked on the days that are compared, and on
/// other days. `time`: how much longer answers may take in the end. `most_bytes`: the space of rows on disk; after 38
/// days a small home has 1.9 MB of them.
fn soak(devices: usize, asked: (u64, u64), time: Most, most_bytes: u64) {
    let Some(last) = std::env::var(ALONE).ok().map(|days| days.parse::<u64>().unwrap()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (mut sensor, shared) = sensor(dir.path(), most_bytes);
    let mut home = SoakHome::new(devices);
    println!("\n{Head}");
    let start = Instant::now();
    let days: Vec<Figures> = (0..last)
        .map(|number| {
            let asked = if is_compared(number as usize, last as usize) { asked.0 } else { asked.1 };
            let figures = day((&mut sensor, &shared), &mut home, number, asked, dir.path());
            println!("| {number} | {figures}");
            figures
        })
        .collect();
    let events = days.iter().map(|day| day.events).sum::<u64>();
    println!("{events} events of {devices} devices in {:.1} s", start.elapsed().as_secs_f64());

    let (report, _) = ask(&shared, &SUSPECTS);
    let first = &report["candidates"][0];
    assert!(HARVESTERS.iter().any(|harvester| first["members"] == serde_json::json!([harvester])), "{first}");
    let crowded_out = shared.store.crowded_out();
    println!("{} rows deleted for their age, {crowded_out} for their number", shared.store.pruned());
    assert_eq!(crowded_out > 0, most_bytes < store::MOST_BYTES);
    assert_eq!((shared.store.lost(), shared.view().drained), (0, events));
    let before = allocated();
    *shared.live() = LiveReport::default();
    let between = allocated();
    *shared.ledger() = tattler_core::ledger::Ledger::copy();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "of {:.1} MB, what the suspects keep is {:.1} and the ledger {:.1}",
        mb(before),
        mb(before - between),
        mb(between - allocated())
    );

    // Hash tables double at any time: that is a tenth of a small home's memory.
    let memory = Most { share: 0.05, slack: 2.0 };
    // Surplus rows are deleted by the thousand.
    let file = Most { share: 0.05, slack: 0.3 };
    let rows = Most { share: 0.05, slack: 0.0 };
    let mut grown: Vec<String> = [
        growth("resident MB", &days, memory, |day| day.resident as f64 / 1e6),
        growth("heap MB", &days, memory, |day| day.heap as f64 / 1e6),
        growth("rows on disk MB", &days, file, |day| day.used as f64 / 1e6),
        growth("database MB", &days, file, |day| day.database as f64 / 1e6),
        growth("database and log MB", &days, file, |day| (day.database + day.log) as f64 / 1e6),
        growth("rows", &days, rows, |day| (day.locals + day.contacts + day.probes + day.addresses) as f64),
        growth("names of devices", &days, rows, |day| day.devices as f64),
    ]
    .into_iter()
    .flatten()
    .collect();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    grown.extend(growth("longest turn ms", &days, time, |day| ms(day.turn)));
    grown.extend(growth("longest copy ms", &days, time, |day| ms(day.copy)));
    for (at, question) in QUESTIONS.iter().enumerate() {
        grown.extend(growth(&format!("{question} ms"), &days, time, |day| ms(day.answers[at])));
    }
    assert!(grown.is_empty(), "{grown:#?}");
}

/// Runs a soak in a process of its own, so that memory can be measured.
fn alone(name: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("agent::tests::soak::{name}"), "--ignored", "--nocapture"])
        .env(ALONE, std::env::var(ALONE).as_deref().unwrap_or(DAYS))
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by two_months_of_a_small_home_let_nothing_grow"]
fn small() {
    // Other work on the machine changes these times by up to two fifths.
    soak(2, (1, 0), Most { share: 0.5, slack: 10.0 }, store::MOST_BYTES);
}

#[test]
fn two_months_of_a_small_home_let_nothing_grow() {
    alone("small");
}

#[test]
#[ignore = "run by two_months_with_little_room_on_disk_let_nothing_grow"]
fn crowded() {
    soak(2, (0, 0), Most { share: 0.5, slack: 10.0 }, 1_000_000);
}

#[test]
fn two_months_with_little_room_on_disk_let_nothing_grow() {
    alone("crowded");
}

#[test]
#[ignore = "run by two_months_of_a_busy_home_let_nothing_grow"]
fn busy() {
    soak(40, (3, 1), Most { share: 0.2, slack: 5.0 }, store::MOST_BYTES);
}

#[test]
#[ignore = "a measurement: cargo test --release -p sensor-user --lib busy_home -- --ignored --nocapture"]
fn two_months_of_a_busy_home_let_nothing_grow() {
    alone("busy");
}
