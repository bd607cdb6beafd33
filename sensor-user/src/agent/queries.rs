//! Answers to what the query socket is asked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ipnet::Ipv6Net;
use sensor_common::GiveUp;
use sensor_common::counters::{Direction, Fate};
use sensor_common::wire::What;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tattler_core::ack::Ack;
use tattler_core::remote;
use tattler_core::report::{self, Exposed, Options};
use tattler_core::time::Time;

use super::shared::Shared;
use super::{clock, diary, suspects};
use crate::contract::Request;
use crate::query::{Context, MOST_THROUGH_SOCKET, from_store};
use crate::store::Reader;

/// Exposed services that the status lists.
const LATEST: usize = 10;

/// Answers one query.
///
/// # Errors
/// One line for the one who asked.
pub fn answer(shared: &Shared, request: &Request) -> Result<Value, String> {
    match request {
        Request::Status { since: None, until: None } => value(&status(shared)),
        &Request::Status { since, until } => {
            let held =
                from_disk(shared, || from_store::holdings(&Reader::open(&shared.state)?, &shared.state, since, until))?;
            value(&Status { locals: held.locals, contacts: held.contacts, probes: held.probes, ..status(shared) })
        }
        Request::Suspects { top, since: None, until: None } => {
            let options = Options { top: top.unwrap_or(Options::default().top) };
            let mut report = suspects::now(shared).report(&options);
            report.mark_acked(&shared.acks(), clock::wall());
            let names = shared.names();
            report.candidates.iter_mut().for_each(|candidate| candidate.name(&names));
            value(&report)
        }
        Request::Forget { what } => value(&diary::forget(shared, what)?),
        Request::Ack { remote, until, note } => {
            let ack = Ack { remote: remote.trunc(), at: clock::wall(), until: *until, note: note.clone() };
            value(&diary::acknowledge(shared, ack)?)
        }
        Request::Unack { remote } => value(&diary::unacknowledge(shared, *remote)?),
        Request::Acks {} => value(&*shared.acks()),
        Request::Explain { remote, since: None, until: None } => {
            let remote = remote::parse(remote)?;
            let mut explanation = suspects::now(shared).explain(remote);
            explanation.name(&shared.names());
            value(&explanation)
        }
        // All else is a matter of the store, which has a connection for each question.
        _ => {
            let _one_at_a_time = shared.reading();
            let (names, now, read) = (shared.names(), clock::wall(), AtomicU64::new(0));
            let context = Context { names: &names, now, most: MOST_THROUGH_SOCKET, read: &read };
            from_disk(shared, || from_store::answer(&shared.state, request, &context))
        }
    }
}

/// Reads from the store. Damage that shows makes the writer set the database aside.
fn from_disk<T>(shared: &Shared, read: impl FnOnce() -> Result<T, from_store::Error>) -> Result<T, String> {
    let before = shared.store.damaged();
    read().map_err(|error| {
        if let (Some(why), Some(diary)) = (error.corruption(), &shared.diary) {
            diary.found_damage(before, why);
        }
        error.to_string()
    })
}

fn value(answer: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(answer).map_err(|error| format!("cannot write the answer: {error}"))
}

/// How the sensor is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// `tattler.status/1`.
    pub schema: String,
    /// Of the running sensor.
    pub version: String,
    /// When it was started.
    pub started: Time,
    /// How often the wall clock was set since then.
    #[serde(default)]
    pub clock_steps: u64,
    /// The wall clock is far ahead of what was known: for a day, nothing is deleted by it.
    #[serde(default)]
    pub clock_doubted: bool,
    /// What it watches.
    pub uplinks: Vec<Uplink>,
    /// What is home; prefixes that are excluded are left out.
    pub home: Vec<Ipv6Net>,
    /// What became of contacts, probes and answers in the kernel.
    pub events: Vec<Events>,
    /// Packets that the parser gave up on; reasons without any are left out.
    pub gave_up: Vec<GaveUp>,
    /// Records in the ring that no program of ours writes.
    pub invalid: u64,
    /// Events set aside because their remote was none: behind NAT64, or home.
    pub set_aside: u64,
    /// Events that an earlier life of the sensor had seen, and neither it wrote nor this one could read.
    #[serde(default)]
    pub lost_between: u64,
    /// Locals that answered a probe at an open port; public ones are left out.
    pub exposed_locals: u64,
    /// What answered probes: ports that are open to strangers first, and of those the latest. Pings
    /// are not listed: who answers one is there, and has no open port.
    pub exposed: Vec<Exposed>,
    /// Different locals that answered pings.
    #[serde(default)]
    pub answered_pings: u64,
    /// Locals seen in use within the window.
    pub locals: u64,
    /// Contacts within the window: local, remote, protocol and port.
    pub contacts: u64,
    /// Probes within the window: source, target, kind and port.
    pub probes: u64,
    /// When the suspects that the metrics show were what the ledger says; null before that is known.
    #[serde(default)]
    pub suspects_as_of: Option<Time>,
    /// By how many seconds they are behind it; 0 if nothing has come since.
    #[serde(default)]
    pub suspects_age_seconds: Option<f64>,
    /// The state directory.
    pub state: String,
    /// Observations that the store has taken, since the start.
    pub stored: u64,
    /// Observations that the store did not take, since the start.
    pub store_lost: u64,
    /// Rows deleted because they were older than the retention, since the start.
    pub store_pruned: u64,
    /// Rows deleted because there were too many, since the start.
    pub store_crowded_out: u64,
    /// Observations that the configuration excludes from being recorded, since the start.
    pub excluded: u64,
    /// The size of the database, in bytes.
    pub store_bytes: u64,
    /// Why the latest write to the store failed, if it did.
    pub store_failure: Option<String>,
    /// Attempts to write that failed, since the start.
    #[serde(default)]
    pub store_failed_writes: u64,
    /// Observations that are yet to be written.
    #[serde(default)]
    pub store_queued: u64,
    /// Databases that were found damaged and set aside, since the start.
    #[serde(default)]
    pub store_damaged: u64,
    /// Where the last of them is.
    #[serde(default)]
    pub store_damaged_file: Option<String>,
}

/// An interface that is watched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Uplink {
    /// Its name.
    pub interface: String,
    /// `native` or `generic`.
    pub mode: String,
    /// Whether it is there and up.
    pub up: bool,
}

/// What became of one kind of event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Events {
    pub what: String,
    pub matched: u64,
    pub recorded: u64,
    pub held_back: u64,
    pub lost: u64,
}

/// How often the parser gave up for one reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GaveUp {
    pub direction: String,
    pub reason: String,
    pub packets: u64,
}

fn status(shared: &Shared) -> Status {
    let mut exposed;
    let (locals, contacts, probes, revision) = {
        let ledger = shared.ledger();
        exposed = report::exposed(&ledger);
        let rows = (ledger.contacts().len() as u64, ledger.probes().len() as u64);
        (ledger.locals_in_use() as u64, rows.0, rows.1, ledger.revision())
    };
    let suspects = shared.suspects().clone();
    let exposed_locals = report::open_locals(&exposed);
    let answered_pings = report::split_pings(&mut exposed);
    exposed.truncate(LATEST);
    let seen = shared.seen();
    let uplinks = seen.uplinks.iter();
    let events = What::ALL.map(|what| Events {
        what: what.as_str().to_owned(),
        matched: seen.counters.fate(what, Fate::Matched),
        recorded: seen.counters.fate(what, Fate::Recorded),
        held_back: seen.counters.fate(what, Fate::HeldBack),
        lost: seen.counters.fate(what, Fate::Lost),
    });
    let gave_up = Direction::ALL.into_iter().flat_map(|direction| {
        GiveUp::COUNTED.map(|reason| GaveUp {
            direction: direction.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            packets: seen.counters.gave_up(direction, reason),
        })
    });
    Status {
        schema: "tattler.status/1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: shared.started(),
        clock_steps: shared.clock_steps(),
        clock_doubted: shared.store.believed().is_some(),
        uplinks: uplinks
            .map(|u| Uplink {
                interface: u.device.name.clone(),
                mode: u.mode.as_str().to_owned(),
                up: seen.up.contains(&u.device.index),
            })
            .collect(),
        home: seen.home.iter().filter(|home| home.ours).map(|home| home.prefix).collect(),
        events: events.to_vec(),
        gave_up: gave_up.filter(|gave_up| gave_up.packets > 0).collect(),
        invalid: seen.invalid,
        set_aside: seen.set_aside,
        lost_between: seen.lost_between,
        exposed_locals,
        exposed,
        answered_pings,
        locals,
        contacts,
        probes,
        suspects_as_of: suspects.as_ref().map(|suspects| suspects.as_of),
        suspects_age_seconds: suspects.map(|suspects| suspects.age(revision).seconds()),
        state: shared.state.display().to_string(),
        stored: shared.store.written(),
        store_lost: shared.store.lost(),
        store_pruned: shared.store.pruned(),
        store_crowded_out: shared.store.crowded_out(),
        excluded: shared.excluded.load(Relaxed),
        store_bytes: shared.store.bytes(),
        store_failure: shared.store.failure(),
        store_failed_writes: shared.store.failed_writes(),
        store_queued: shared.store.queued(),
        store_damaged: shared.store.damaged(),
        store_damaged_file: shared.store.damaged_file(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sensor's memory with a store of two contacts and a probe behind it, and an empty ledger.
    fn sensor(dir: &std::path::Path) -> (Shared, crate::store::Writer) {
        let lines = [
            r#"{"type":"contact","ts":"2026-09-01T10:00:00Z","local":"2001:db8::1","remote":"3fff::1","proto":"tcp","port":443}"#,
            r#"{"type":"contact","ts":"2026-09-02T10:00:00Z","local":"2001:db8::1","remote":"3fff::2","proto":"tcp","port":443}"#,
            r#"{"type":"probe","ts":"2026-09-03T10:00:00Z","source":"3fff::3","target":"2001:db8::1","kind":"syn","port":22}"#,
        ];
        let mut store = crate::store::Store::open(dir).unwrap();
        store.append(&lines.map(|line| tattler_files::jsonl::parse(line.as_bytes()).unwrap())).unwrap();
        // The wall clock would find them old one day.
        let settings = crate::store::Settings { clock: || Time(0), ..crate::store::Settings::default() };
        let writer = crate::store::Writer::start(store, settings).unwrap();
        let ledger = tattler_core::ledger::Ledger::new(tattler_core::ledger::Settings::live());
        (Shared::new(Time(0), dir.to_owned(), &writer, Vec::new(), ledger), writer)
    }

    fn ask(shared: &Shared, question: &str) -> Result<Value, String> {
        answer(shared, &serde_json::from_str(question).unwrap())
    }

    #[test]
    fn rows_come_from_the_store_while_the_sensor_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let rows = |question: &str| ask(&shared, question).map(|answer| answer["rows"].as_array().unwrap().len());
        assert_eq!(rows(r#"{"query":"contacts"}"#), Ok(2));
        assert_eq!(rows(r#"{"query":"contacts","limit":1}"#), Ok(1));
        assert_eq!(rows(r#"{"query":"probes","filter":"port 22"}"#), Ok(1));
        assert_eq!(rows(r#"{"query":"locals"}"#), Ok(1));
        assert_eq!(rows(r#"{"query":"scanners"}"#), Ok(1));
        let error = rows(r#"{"query":"probes","filter":"port x"}"#).unwrap_err();
        assert!(error.contains("the filter is wrong at column 6"), "{error}");
    }

    #[test]
    fn a_window_is_worked_out_from_the_store_and_no_window_from_memory() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let locals = |question: &str| ask(&shared, question).unwrap()["locals"].clone();
        assert_eq!(locals(r#"{"query":"suspects"}"#), 0);
        assert_eq!(locals(r#"{"query":"suspects","since":"2026-09-01T00:00:00Z"}"#), 1);
        let status = ask(&shared, r#"{"query":"status","until":"2026-09-01T12:00:00Z"}"#).unwrap();
        assert_eq!((&status["contacts"], &status["probes"]), (&1.into(), &0.into()));
        let evidence =
            ask(&shared, r#"{"query":"explain","remote":"3fff::1","since":"2026-09-01T00:00:00Z"}"#).unwrap();
        assert_eq!(evidence["visits"][0]["probes"][0]["source"], "3fff::3");
    }
}
