//! However the wall clock is set, in the end all dates are as if it had always been right.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use proptest::prelude::*;
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Kind, Proto};
use tattler_core::event::observation;
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::live_report::LiveReport;
use tattler_core::observation::Observation;
use tattler_core::report::{ReportOptions, report};
use tattler_core::time::{Span, Time};

use crate::agent::clock::{ClockReading, EventClock, PAUSE};
use crate::store::{self, Reader, Store, Writer};

const SECOND: u64 = 1_000_000_000;
/// When the first boot truly began.
const TRULY: Time = Time::from_seconds(1_790_000_000);

#[derive(Clone, Debug)]
enum Step {
    Contact {
        local: u8,
        remote: u8,
        udp: bool,
    },
    Probe {
        source: u8,
        target: u8,
        port: u16,
    },
    Answer {
        source: u8,
        target: u8,
        port: u16,
    },
    Pass {
        millis: u64,
    },
    /// Somebody sets the clock wrong by so many seconds.
    Set {
        off: i64,
    },
    /// The sensor restarts, in the same boot.
    Restart,
    /// The machine restarts; its clock then shows so many seconds after 1970.
    Reboot {
        shows: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let port = prop_oneof![Just(22_u16), Just(53)];
    let off = prop_oneof![-90_i64..90, -4_000_000_000_i64..4_000_000_000, Just(-3_600)];
    let step = prop_oneof![
        6 => (0..6_u8, 0..6_u8, any::<bool>()).prop_map(|(local, remote, udp)| Step::Contact { local, remote, udp }),
        6 => (0..4_u8, 0..6_u8, port.clone()).prop_map(|(source, target, port)| Step::Probe { source, target, port }),
        1 => (0..4_u8, 0..6_u8, port).prop_map(|(source, target, port)| Step::Answer { source, target, port }),
        6 => (1..400_000_u64).prop_map(|millis| Step::Pass { millis }),
        3 => off.prop_map(|off| Step::Set { off }),
        1 => Just(Step::Restart),
        1 => (0..2_000_000_000_i64).prop_map(|shows| Step::Reboot { shows }),
    ];
    prop::collection::vec(step, 1..60)
}

/// A sensor with its store and its clock.
struct Sensor<'d> {
    dir: &'d Path,
    clock: EventClock,
    writer: Option<Writer>,
}

impl<'d> Sensor<'d> {
    fn start(dir: &'d Path, boot_id: &str, look: ClockReading) -> Sensor<'d> {
        let mut store = Store::open(dir).unwrap();
        let boot = store.begin_boot(boot_id, look.wall - Span((look.boot / 1_000) as i64)).unwrap();
        let clock = EventClock::new(boot.origin);
        let settings = store::StoreSettings { latency: Duration::from_secs(3_600), ..store::StoreSettings::default() };
        // Retention is not what is tested.
        let settings = store::StoreSettings { clock: || Time(0), ..settings };
        Sensor { dir, clock, writer: Some(Writer::start(store, settings).unwrap()) }
    }

    fn writer(&self) -> &Writer {
        self.writer.as_ref().unwrap()
    }

    fn look(&mut self, look: ClockReading) {
        if let Some(step) = self.clock.step(look) {
            self.writer().redate(step);
        }
    }

    /// The ledger as the loop rebuilds it, after everything that is queued.
    fn ledger(&self) -> Ledger {
        let (sender, receiver) = channel();
        let dir = self.dir.to_owned();
        self.writer().then(move |_| sender.send(Reader::open(&dir).unwrap()).unwrap());
        let mut ledger = Ledger::new(LedgerSettings::default());
        let reader = receiver.recv().unwrap();
        reader.replay(Time(i64::MIN), Time(i64::MAX), &mut |observation| ledger.observe(&observation)).unwrap();
        ledger
    }

    fn stop(&mut self) {
        assert_eq!(self.writer.take().unwrap().finish().lost, 0);
    }
}

fn replayed(dir: &Path) -> Vec<Observation> {
    let mut all = Vec::new();
    Store::open(dir).unwrap().replay(Time(i64::MIN), &mut |observation| all.push(observation)).unwrap();
    all
}

fn local(n: u8) -> [u8; 16] {
    [0x20, 0x01, 0x0d, 0xb8, 0, 0x42, 0, 1, 0xe0, 0x14, 0x9a, 0xff, 0x5e, 0x49, 0xec, n]
}

fn remote(n: u8) -> [u8; 16] {
    [0x2a, 0x05, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53]
}

fn event(step: &Step, time: BootTime) -> Option<Event> {
    let blank = Event { time, count: 1, ..Event::default() };
    Some(match *step {
        Step::Contact { local: l, remote: r, udp } => Event {
            what: What::Contact as u8,
            number: if udp { Proto::Udp } else { Proto::Tcp } as u8,
            local: local(l),
            remote: remote(r),
            local_port: 50_000,
            remote_port: 443,
            ..blank
        },
        Step::Probe { source, target, port } => Event {
            what: What::Probe as u8,
            number: Kind::Syn as u8,
            local: local(target),
            remote: remote(0x80 + source),
            local_port: port,
            remote_port: 40_000,
            ..blank
        },
        Step::Answer { source, target, port } => Event {
            what: What::Answer as u8,
            number: Kind::Syn as u8,
            local: local(target),
            remote: remote(0x80 + source),
            local_port: port,
            ..blank
        },
        _ => return None,
    })
}

/// A machine: its boot time, the true time, and the error of its clock.
struct Machine {
    boots: u32,
    boot: BootTime,
    /// When this boot truly began.
    truly: Time,
    off: Span,
}

impl Machine {
    fn look(&self) -> ClockReading {
        ClockReading { boot: self.boot, wall: self.truly + Span((self.boot / 1_000) as i64) + self.off, took: Span(1) }
    }

    fn id(&self) -> String {
        format!("boot {}", self.boots)
    }

    fn pass(&mut self, nanos: u64) {
        self.boot += nanos;
    }

    /// Somebody sets the clock right, and the sensor has time to notice.
    fn right(&mut self, sensor: &mut Sensor<'_>) {
        self.pass(PAUSE.as_nanos() as u64 + SECOND);
        sensor.look(self.look());
        self.pass(PAUSE.as_nanos() as u64 + SECOND);
        self.off = Span(0);
        sensor.look(self.look());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_the_clock_order_and_lags_are_right(steps in steps()) {
        let (astray, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // The reference knows no boots and no steps: dates are true at once.
        let mut reference = Store::open(right.path()).unwrap();
        let mut machine = Machine { boots: 1, boot: 5 * SECOND, truly: TRULY, off: Span::from_seconds(-1_789_999_000) };
        let mut sensor = Sensor::start(astray.path(), &machine.id(), machine.look());
        for step in &steps {
            // As the loop does before each drain.
            sensor.look(machine.look());
            match *step {
                Step::Pass { millis } => machine.pass(millis * 1_000_000),
                Step::Set { off } => {
                    // Not before 1970: the kernel refuses that.
                    let least = Time(0) - (machine.look().wall - machine.off);
                    machine.off = Span::from_seconds(off).max(least);
                }
                Step::Restart => {
                    sensor.stop();
                    sensor = Sensor::start(astray.path(), &machine.id(), machine.look());
                }
                Step::Reboot { shows } => {
                    machine.right(&mut sensor);
                    sensor.stop();
                    let now = machine.look().wall + Span::from_seconds(60);
                    machine = Machine { boots: machine.boots + 1, boot: 0, truly: now, off: Time::from_seconds(shows) - now };
                    sensor = Sensor::start(astray.path(), &machine.id(), machine.look());
                }
                _ => {
                    machine.pass(1_000_000);
                    let event = event(step, machine.boot).unwrap();
                    sensor.writer().send(vec![observation(&event, 0, sensor.clock.origin()).unwrap()]);
                    reference.append(&[observation(&event, 0, machine.truly).unwrap()]).unwrap();
                }
            }
        }
        machine.right(&mut sensor);
        let mut expected = Ledger::new(LedgerSettings::default());
        reference.replay(Time(i64::MIN), &mut |observation| expected.observe(&observation)).unwrap();
        drop(reference);

        // The running sensor's copy, after the rebuilt ledger has replaced the old one.
        let mut ledger = Ledger::new(LedgerSettings::default());
        let mut findings = LiveReport::default();
        findings.follow(&mut ledger, Time(0));
        let mut new = sensor.ledger();
        new.replace(&ledger, Span(0));
        findings.follow(&mut new, Time(0));
        let wanted = report(&expected, &ReportOptions::default());
        prop_assert_eq!(&findings.report(&ReportOptions::default()), &wanted);
        sensor.stop();
        prop_assert_eq!(replayed(astray.path()), replayed(right.path()));
    }
}

#[test]
#[ignore = "a measurement: cargo test --release -p sensor-user --lib time_of_a_step -- --ignored --nocapture"]
fn time_of_a_step() {
    use std::time::Instant;
    let (contacts, probes): (u32, u32) = (500_000, 250_000);
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.begin_boot("boot", TRULY).unwrap();
    let wide = |n: u32| [(n >> 16) as u8, (n >> 8) as u8, n as u8];
    let all = (0..contacts)
        .map(|n| (n, Step::Contact { local: n as u8, remote: 0, udp: false }))
        .chain((0..probes).map(|n| (n, Step::Probe { source: 0, target: n as u8, port: 22 })));
    let mut batch = Vec::new();
    for (n, step) in all {
        let mut event = event(&step, u64::from(n) * 1_000_000).unwrap();
        event.remote[3..6].copy_from_slice(&wide(n.wrapping_mul(2_654_435_761) >> 8));
        batch.push(observation(&event, 0, TRULY).unwrap());
        if batch.len() == 10_000 {
            store.append(&std::mem::take(&mut batch)).unwrap();
        }
    }
    store.append(&batch).unwrap();
    let start = Instant::now();
    let rows = store.append_after(Span::from_days(2_000), &[], None).unwrap();
    println!("{rows} rows moved in {:?}", start.elapsed());
    let (start, mut ledger) = (Instant::now(), Ledger::new(LedgerSettings::default()));
    store.replay(Time(i64::MIN), &mut |observation| ledger.observe(&observation)).unwrap();
    println!("the ledger rebuilt in {:?}", start.elapsed());
    let start = Instant::now();
    store.begin_boot("the next", TRULY).unwrap();
    println!("the next boot started in {:?}", start.elapsed());
    let (start, mut clock) = (Instant::now(), EventClock::new(crate::agent::clock::booted()));
    for _ in 0..100_000 {
        clock.step(crate::agent::clock::look());
    }
    println!("a look at the clock: {:?}", start.elapsed() / 100_000);
}
