//! However the wall clock is set, in the end all dates are as if it had always been right.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Kind, Proto};
use tattler_core::event::observation;
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::live_report::LiveReport;
use tattler_core::observation::Observation;
use tattler_core::report::{ReportOptions, report};
use tattler_core::time::{Span, Time};

use crate::agent::clock::{self, ClockReading, EventClock, PAUSE};
use crate::store::{self, Reader, Store, Writer};

const SECOND: u64 = 1_000_000_000;
/// When the first boot truly began.
const TRULY: Time = Time::from_seconds(1_790_000_000);

#[derive(Clone, Debug)]
enum Step {
    /// What, its protocol or kind, the numbers of local and remote, and the local's port.
    Event(What, u8, u8, u8, u16),
    /// So many milliseconds pass.
    Pass(u64),
    /// Somebody sets the clock wrong by so many seconds.
    Set(i64),
    /// The sensor restarts, in the same boot.
    Restart,
    /// The machine restarts; its clock then shows so many seconds after 1970.
    Reboot(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let off = prop_oneof![-90_i64..90, -4_000_000_000_i64..4_000_000_000, Just(-3_600)];
    let event = |what, numbers: &'static [u8], remotes, ports: &'static [u16]| {
        (select(numbers), 0..6_u8, remotes, select(ports))
            .prop_map(move |(n, l, r, port)| Step::Event(what, n, l, r, port))
    };
    let step = prop_oneof![
        6 => event(What::Contact, &[Proto::Tcp as u8, Proto::Udp as u8], 0..6_u8, &[50_000]),
        6 => event(What::Probe, &[Kind::Syn as u8], 0x80..0x84_u8, &[22, 53]),
        1 => event(What::Answer, &[Kind::Syn as u8], 0x80..0x84_u8, &[22, 53]),
        6 => (1..400_000_u64).prop_map(Step::Pass),
        3 => off.prop_map(Step::Set),
        1 => Just(Step::Restart),
        1 => (0..2_000_000_000_i64).prop_map(Step::Reboot),
    ];
    prop::collection::vec(step, 1..60)
}

/// A sensor with its store and its clock.
struct Sensor<'d> {
    dir: &'d Path,
    clock: EventClock,
    writer: Writer,
}

impl<'d> Sensor<'d> {
    fn start(dir: &'d Path, boot_id: &str, look: ClockReading) -> Sensor<'d> {
        let mut store = Store::open(dir).unwrap();
        let boot = store.begin_boot(boot_id, look.wall - Span((look.boot / 1_000) as i64)).unwrap();
        let clock = EventClock::new(boot.origin, clock::look);
        // Retention is not what is tested.
        let (latency, zero) = (Duration::from_secs(3_600), || Time(0));
        let settings = store::StoreSettings { latency, clock: zero, ..store::StoreSettings::default() };
        Sensor { dir, clock, writer: Writer::start(store, settings).unwrap() }
    }

    fn look(&mut self, look: ClockReading) {
        if let Some(step) = self.clock.step(look) {
            self.writer.redate(step);
        }
    }

    /// The ledger as the loop rebuilds it, after everything that is queued.
    fn ledger(&self) -> Ledger {
        let (sender, receiver) = channel();
        let dir = self.dir.to_owned();
        self.writer.then(move |_| sender.send(Reader::open(&dir).unwrap()).unwrap());
        let mut ledger = Ledger::new(LedgerSettings::default());
        let reader = receiver.recv().unwrap();
        reader.replay(Time(i64::MIN), Time(i64::MAX), &mut |observation| ledger.observe(&observation)).unwrap();
        ledger
    }

    fn stop(self) {
        assert_eq!(self.writer.finish().lost, 0);
    }
}

fn replayed(dir: &Path) -> Vec<Observation> {
    let mut all = Vec::new();
    Store::open(dir).unwrap().replay(Time(i64::MIN), &mut |observation| all.push(observation)).unwrap();
    all
}

fn event(what: What, number: u8, local: u8, remote: u8, port: u16, time: BootTime) -> Event {
    Event {
        time,
        what: what as u8,
        number,
        local: [0x20, 0x01, 0x0d, 0xb8, 0, 0x42, 0, 1, 0xe0, 0x14, 0x9a, 0xff, 0x5e, 0x49, 0xec, local],
        remote: [0x2a, 0x05, remote, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53],
        local_port: port,
        remote_port: 443,
        count: 1,
        ..Event::default()
    }
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

    /// Somebody sets the clock right, and the sensor has time to notice.
    fn right(&mut self, sensor: &mut Sensor<'_>) {
        self.boot += PAUSE.as_nanos() as u64 + SECOND;
        sensor.look(self.look());
        self.boot += PAUSE.as_nanos() as u64 + SECOND;
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
                Step::Pass(millis) => machine.boot += millis * 1_000_000,
                Step::Set(off) => {
                    // Not before 1970: the kernel refuses that.
                    let least = Time(0) - (machine.look().wall - machine.off);
                    machine.off = Span::from_seconds(off).max(least);
                }
                Step::Restart => {
                    sensor.stop();
                    sensor = Sensor::start(astray.path(), &machine.id(), machine.look());
                }
                Step::Reboot(shows) => {
                    machine.right(&mut sensor);
                    sensor.stop();
                    let now = machine.look().wall + Span::from_seconds(60);
                    machine = Machine { boots: machine.boots + 1, boot: 0, truly: now, off: Time::from_seconds(shows) - now };
                    sensor = Sensor::start(astray.path(), &machine.id(), machine.look());
                }
                Step::Event(what, number, local, remote, port) => {
                    machine.boot += 1_000_000;
                    let event = event(what, number, local, remote, port, machine.boot);
                    sensor.writer.send(vec![observation(&event, 0, sensor.clock.origin).unwrap()]);
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
    let all = (0..contacts)
        .map(|n| (n, What::Contact, Proto::Tcp as u8))
        .chain((0..probes).map(|n| (n, What::Probe, Kind::Syn as u8)));
    let mut batch = Vec::new();
    for (n, what, number) in all {
        let mut event = event(what, number, n as u8, 0, 22, u64::from(n) * 1_000_000);
        event.remote[3..6].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes()[..3]);
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
}
