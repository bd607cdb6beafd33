//! A week is like an hour: two months of a home through one process.
//!
//! The loop is the sensor's own, with the store's thread, the ledger and the suspects beside it; only
//! the kernel and the clocks are others (see `Programs` and `Clock::by`). It is turned ten minutes of a
//! day at a time, and at the end of each day the process is looked at. What is left out: sockets, HTTP,
//! netlink's connection, and time itself, so that what is due every second is due every ten minutes.

mod figures;
mod home;

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sensor_common::wire::{BootTime, Event};
use serde_json::Value;
use tattler_core::exclusions::Exclusions;
use tattler_core::home::{self as home_of, Device};
use tattler_core::live_report::LiveReport as Suspects;
use tattler_core::time::{Span, Time};

use self::figures::{Figures, Head, Most, QUESTIONS, allocated, growth, is_compared, median, timed};
use self::home::{DAY, HARVESTERS, HOUR, Home};
use super::alarm::Alarm;
use super::begin::{self, Begun};
use super::clock::{Clock, Look};
use super::devices::Devices;
use super::follow::Uplinks;
use super::open::Open;
use super::programs::Programs;
use super::redate::Redating;
use super::sensor::Sensor;
use super::service::Watchdog;
use super::shared::Shared;
use super::{Settings, allocator, queries, store_log, suspects};
use crate::agent::live::Live;
use crate::contract::Request;
use crate::contract::RowsQuestion;
use crate::datapath::{AttachError, Attachment, Counters, Drained, MapError, Mode};
use crate::mark::Mark;
use crate::store::{self, Writer};
use crate::{config, datapath};

/// Days, unless the variable below says how many.
const DAYS: &str = "62";
/// Set in the process that does nothing else.
const ALONE: &str = "TATTLER_SOAK_DAYS";
/// What one turn of the loop covers.
const TURN: BootTime = HOUR / 6;
/// The wall clock at boot.
const ORIGIN: Time = Time::from_seconds(1_790_000_000);
/// Nanoseconds since boot, by which all goes.
static BOOT: AtomicU64 = AtomicU64::new(0);

fn wall() -> Time {
    ORIGIN + ran()
}

fn ran() -> Span {
    Span((BOOT.load(Relaxed) / 1_000) as i64)
}

fn look() -> Look {
    Look { boot: BOOT.load(Relaxed), wall: wall(), took: Span(1) }
}

/// A ring that is filled by hand.
#[derive(Default)]
struct Fed {
    waiting: VecDeque<Event>,
    read: u64,
    released: u64,
}

impl Programs for Fed {
    fn drain(&mut self, most: usize, take: impl FnMut(Event)) -> Drained {
        let events = most.min(self.waiting.len());
        self.waiting.drain(..events).for_each(take);
        self.read += (events * Event::SIZE) as u64;
        Drained { events, invalid: 0 }
    }

    fn release(&mut self, position: u64) {
        assert!((self.released..=self.read).contains(&position), "neither back nor beyond what was read");
        self.released = position;
    }

    fn position(&self) -> u64 {
        self.read
    }

    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn mark(&self, since: BootTime) -> Mark {
        Mark { boot: 1, ring: 1, position: self.read, since }
    }

    fn counters(&self) -> Result<Counters, MapError> {
        Ok(Counters::default())
    }

    fn set_home(&mut self, _: &[home_of::Home]) -> Result<(), MapError> {
        Ok(())
    }

    fn attach(&mut self, device: &Device, _: Option<Mode>) -> Result<Attachment, AttachError> {
        Ok(Attachment { device: device.clone(), mode: Mode::Native, not_native: None, adopted: false })
    }

    fn detach(&mut self, _: u32) {}
}

/// The sensor as `run` makes it, without what belongs to the kernel.
fn sensor(dir: &Path, most_bytes: u64) -> Sensor<Fed> {
    allocator::return_large_blocks();
    let store = store::Settings { clock: wall, ran, most_bytes, ..store::Settings::default() };
    let settings = Settings {
        interfaces: Vec::new(),
        home: Vec::new(),
        home_add: Vec::new(),
        home_exclude: Vec::new(),
        public: Vec::new(),
        keep_mac: false,
        nat64: Vec::new(),
        state: dir.to_owned(),
        socket: dir.join("socket"),
        listen: None,
        store,
        exclusions: Exclusions::default(),
        excluded_devices: Vec::new(),
        names: config::Names::default(),
        window: Span::from_days(30),
        sizes: datapath::Sizes::default(),
        attach: None,
        keep: false,
    };
    // Of another boot, of which there is nothing.
    let Begun { mut store, key, acks, ledger, .. } = begin::begin(&settings).unwrap();
    store.begin_boot("the boot of the soak", ORIGIN).unwrap();
    let writer = Writer::start(store, settings.store).unwrap();
    let clock = Clock::by(ORIGIN, look);
    let open = Open::new(&ledger);
    let shared = Arc::new(Shared::new(clock.now(), dir.to_owned(), &writer, acks, ledger));
    let name = key.clone();
    Sensor {
        prefixes: settings.prefixes(),
        settings,
        datapath: Fed::default(),
        writer,
        shared,
        live: Live::new(0),
        since: 0,
        handed: 0,
        devices: Devices::new(Box::new(move |mac| name.name(mac, false))),
        key,
        open,
        set_aside: 0,
        learned: Vec::new(),
        uplinks: Uplinks::new(Vec::new(), true),
        drained: 0,
        invalid: 0,
        last_event: None,
        clock,
        redating: Redating::default(),
        home: None,
        own: Vec::new(),
        inside: HashSet::new(),
        arrivals: 0,
        fresh: Vec::new(),
        pending: Vec::new(),
        due: Vec::new(),
        alarm: Alarm::new(&Counters::default(), tokio::time::Instant::now()),
        watchdog: Watchdog::new(tokio::time::Instant::now()),
        store_log: store_log::StoreLog::default(),
    }
}

fn longest<T>(longest: &mut Duration, work: impl FnOnce() -> T) -> T {
    let (done, took) = timed(work);
    *longest = (*longest).max(took);
    done
}

fn ask(sensor: &Sensor<Fed>, request: &Request) -> (Value, Duration) {
    timed(|| queries::answer(&sensor.shared, request).unwrap())
}

const SUSPECTS: Request = Request::Suspects { top: None, since: None, until: None };

/// An hour: its events, in turns, and what is due at its end.
fn hour(sensor: &mut Sensor<Fed>, day: &mut home::Day, hour: BootTime, figures: &mut Figures) {
    let end = hour + HOUR;
    for turn in (hour..end).step_by(TURN as usize) {
        BOOT.store(turn + TURN, Relaxed);
        let due = day.events.partition_point(|event| event.time < turn + TURN);
        figures.events += due as u64;
        sensor.datapath.waiting.extend(day.events.drain(..due));
        longest(&mut figures.turn, || while sensor.drain() > 0 {});
        let known = day.neighbours.partition_point(|&(at, _)| at < turn + TURN);
        let known: Vec<_> = day.neighbours.drain(..known).map(|(_, neighbour)| neighbour).collect();
        sensor.learn(&known);
        sensor.show();
        figures.queued = figures.queued.max(sensor.shared.store.queued());
    }
    sensor.next_hour();
    longest(&mut figures.turn, || while sensor.drain() > 0 {});
    // What the thread beside the loop does within a second.
    longest(&mut figures.copy, || suspects::forget(&sensor.shared));
    suspects::shown(&sensor.shared);
    // The store's own hour is one of real time; a reload has it prune at once.
    sensor.writer.keep(sensor.settings.store);
    // It takes its time, of which there is an hour.
    sensor.shared.diary.as_ref().unwrap().with(|_| ()).unwrap();
}

fn day(sensor: &mut Sensor<Fed>, home: &mut Home, number: u64, asked: u64, dir: &Path) -> Figures {
    let mut figures = Figures::default();
    let mut day = home.day(number);
    sensor.network_changed(&day.network);
    let mut times = Vec::new();
    for n in 0..24 {
        hour(sensor, &mut day, number * DAY + n * HOUR, &mut figures);
        // Once in an hour: what was worked out is kept until something comes.
        if n + asked >= 24 {
            times.push(ask(sensor, &SUSPECTS).1);
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
        *answer = median(&mut (0..asked).map(|_| ask(sensor, question).1).collect::<Vec<_>>());
    }
    {
        let ledger = sensor.shared.ledger();
        figures.locals = ledger.locals().len() as u64;
        figures.contacts = ledger.contacts().len() as u64;
        figures.probes = ledger.probes().len() as u64;
        figures.addresses = ledger.addresses() as u64;
        figures.devices = ledger.locals().iter().filter_map(|local| local.device).max().map_or(0, u64::from);
    }
    figures.compared = sensor.shared.live().cost().1.compared;
    figures.used = sensor.shared.diary.as_ref().unwrap().with(|store| store.used().unwrap()).unwrap();
    figures.look(dir);
    figures
}

/// Two months of a home with so many devices, which is asked so often on the days that are compared, and
/// on the others. `time`: by how much answers may take longer in the end.
/// `most_bytes`: what rows may take on disk; at 38 days a small home has 1.9 MB of them.
fn soak(devices: usize, asked: (u64, u64), time: Most, most_bytes: u64) {
    let Some(last) = std::env::var(ALONE).ok().map(|days| days.parse::<u64>().unwrap()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut sensor = sensor(dir.path(), most_bytes);
    let mut home = Home::new(devices);
    println!("\n{Head}");
    let start = Instant::now();
    let days: Vec<Figures> = (0..last)
        .map(|number| {
            let asked = if is_compared(number as usize, last as usize) { asked.0 } else { asked.1 };
            let figures = day(&mut sensor, &mut home, number, asked, dir.path());
            println!("| {number} | {figures}");
            figures
        })
        .collect();
    let events = days.iter().map(|day| day.events).sum::<u64>();
    println!("{events} events of {devices} devices in {:.1} s", start.elapsed().as_secs_f64());

    let (report, _) = ask(&sensor, &SUSPECTS);
    let first = &report["candidates"][0];
    assert!(HARVESTERS.iter().any(|harvester| first["members"] == serde_json::json!([harvester])), "{first}");
    let crowded_out = sensor.shared.store.crowded_out();
    println!("{} rows deleted for their age, {crowded_out} for their number", sensor.shared.store.pruned());
    assert_eq!(crowded_out > 0, most_bytes < store::MOST_BYTES);
    assert_eq!((sensor.shared.store.lost(), sensor.pending.len()), (0, 0));
    let before = allocated();
    *sensor.shared.live() = Suspects::default();
    let between = allocated();
    *sensor.shared.ledger() = tattler_core::ledger::Ledger::copy();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "of {:.1} MB, what the suspects keep is {:.1} and the ledger {:.1}",
        mb(before),
        mb(before - between),
        mb(between - allocated())
    );

    // Hashed tables double when it pleases them: of a small home's memory that is a tenth.
    let memory = Most { share: 0.05, slack: 2.0 };
    // Rows that are too many go by the thousand.
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

/// What a process takes is measured in one that does nothing else.
fn alone(name: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("agent::soak::{name}"), "--ignored", "--nocapture"])
        .env(ALONE, std::env::var(ALONE).as_deref().unwrap_or(DAYS))
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by two_months_of_a_small_home_leave_memory_files_and_answers_as_they_were_after_forty_days"]
fn small() {
    // Who shares the machine's caches comes and goes: what that makes of these times is up to two fifths.
    soak(2, (1, 0), Most { share: 0.5, slack: 10.0 }, store::MOST_BYTES);
}

#[test]
fn two_months_of_a_small_home_leave_memory_files_and_answers_as_they_were_after_forty_days() {
    alone("small");
}

#[test]
#[ignore = "run by two_months_with_little_room_on_disk_leave_memory_and_files_as_they_were_after_forty_days"]
fn crowded() {
    soak(2, (0, 0), Most { share: 0.5, slack: 10.0 }, 1_000_000);
}

#[test]
fn two_months_with_little_room_on_disk_leave_memory_and_files_as_they_were_after_forty_days() {
    alone("crowded");
}

#[test]
#[ignore = "run by two_months_of_a_busy_home_leave_memory_files_and_answers_as_they_were_after_forty_days"]
fn busy() {
    soak(40, (3, 1), Most { share: 0.2, slack: 5.0 }, store::MOST_BYTES);
}

#[test]
#[ignore = "a measurement: cargo test --release -p sensor-user --lib busy_home -- --ignored --nocapture"]
fn two_months_of_a_busy_home_leave_memory_files_and_answers_as_they_were_after_forty_days() {
    alone("busy");
}
