//! From the ring of events to the store.

use std::sync::atomic::Ordering::Relaxed;

use sensor_common::wire::BootTime;
use tattler_core::event::observation;
use tattler_core::exclusions::Exclusions;
use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};

use super::programs::Programs;
use crate::agent::state::{SensorView, Shared};
use crate::store::Writer;

/// Takes events from the kernel programs and hands observations to the store.
pub struct Intake<P> {
    pub(super) programs: P,
    writer: Writer,
    /// Since when the uplinks have been watched without a gap.
    watched_since: BootTime,
    /// The position in the ring up to which events were handed to the store.
    handed: u64,
    fresh: Vec<Observation>,
    drained: u64,
    invalid: u64,
    set_aside: u64,
    last_event: Option<Time>,
}

impl<P: Programs> Intake<P> {
    pub fn new(programs: P, writer: Writer, now: BootTime) -> Intake<P> {
        Intake {
            programs,
            writer,
            watched_since: now,
            handed: 0,
            fresh: Vec::new(),
            drained: 0,
            invalid: 0,
            set_aside: 0,
            last_event: None,
        }
    }

    /// From now on the uplinks are watched without a gap, since `since`. A next process has to know that, whether
    /// events come or not.
    pub fn watched_since(&mut self, since: BootTime) {
        self.watched_since = since;
        self.hand_over(Vec::new());
    }

    /// Takes up to `most` events out of the ring. Returns how many records there were.
    pub fn drain(&mut self, most: usize, origin: Time, exclusions: &Exclusions, shared: &Shared) -> usize {
        let (since, fresh, mut unknown) = (self.watched_since, &mut self.fresh, 0);
        let drained = self.programs.drain(most, |event| match observation(&event, since, origin) {
            Some(observation) if exclusions.excludes(&observation) => _ = shared.excluded.fetch_add(1, Relaxed),
            Some(observation) => fresh.push(observation),
            None => unknown += 1,
        });
        self.drained += drained.events as u64;
        self.invalid += (drained.invalid + unknown) as u64;
        self.last_event = fresh.last().map(Observation::ts).or(self.last_event);
        drained.events + drained.invalid
    }

    /// Adds an observation that came by another way than the ring.
    pub fn add(&mut self, observation: Observation) {
        self.fresh.push(observation);
    }

    /// What was drained and added, less the observations of no remote.
    pub fn take_fresh(&mut self, is_of_a_remote: impl Fn(&Observation) -> bool) -> Vec<Observation> {
        let mut fresh = std::mem::take(&mut self.fresh);
        let before = fresh.len();
        fresh.retain(is_of_a_remote);
        self.set_aside += (before - fresh.len()) as u64;
        fresh
    }

    /// Hands a batch to the store and releases what it has stored; never waits. The batch may be empty, because all
    /// events were filtered out. Then only the position is sent, and one at a time, so that a stalled disk does not
    /// queue thousands of them.
    pub fn record(&mut self, batch: Vec<Observation>, stored: u64) {
        let has_moved = self.handed != self.programs.position() && self.handed == stored;
        if !batch.is_empty() || has_moved {
            self.hand_over(batch);
        }
        self.programs.release(stored);
    }

    /// Hands a batch to the store, with the position in the ring.
    pub fn hand_over(&mut self, batch: Vec<Observation>) {
        let mark = self.programs.mark(self.watched_since);
        if self.writer.send_up_to(batch, mark) {
            self.handed = mark.position;
        }
    }

    /// The clock was set: changes the dates of what is between ring and store.
    pub fn shift(&mut self, step: Span) {
        self.fresh.iter_mut().for_each(|observation| observation.shift(step));
        self.last_event = self.last_event.map(|time| time + step);
    }

    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Events taken out of the ring.
    pub fn drained(&self) -> u64 {
        self.drained
    }

    pub fn show(&self, view: &mut SensorView) {
        view.drained = self.drained;
        view.invalid = self.invalid;
        view.set_aside = self.set_aside;
        view.last_event = self.last_event;
    }

    /// The programs and the writer, for the end.
    pub fn into_parts(self) -> (P, Writer) {
        (self.programs, self.writer)
    }
}
