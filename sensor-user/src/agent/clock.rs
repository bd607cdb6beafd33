//! Boot time and wall clock.
//!
//! The two differ by a constant, the *origin*, until the wall clock is set: small corrections (adjtimex)
//! speed up or slow down both alike. So only steps have to be followed. The sensor dates events by its origin
//! until it takes a step over, and then changes the dates of everything of this boot. Order and lags are right at any
//! time.

use std::time::Duration;

use sensor_common::wire::BootTime;
use tattler_core::time::{Span, Time};

use crate::system_clock::span;
pub use crate::system_clock::{boot, wall};

/// The smallest difference, either way, between the wall clock and boot time plus origin that is a step. A leap
/// second is one; half a second is less than people set by hand.
const STEP: Span = Span(500_000);
/// The wait after a step until the next one is taken over: two programs that set the clock in turns would otherwise
/// have all dates rewritten without end.
pub const PAUSE: Duration = Duration::from_secs(10);
/// A reading that took longer is ignored: the process may have been off its CPU between the two clocks.
const SHARP: Span = Span(50_000);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    pub boot: BootTime,
    pub wall: Time,
    /// How long it took to read them.
    pub took: Span,
}

impl ClockReading {
    fn origin(self) -> Time {
        self.wall - span(self.boot)
    }
}

/// Reads both clocks.
pub fn look() -> ClockReading {
    let before = boot();
    let wall = wall();
    let took = boot().saturating_sub(before);
    ClockReading { boot: before + took / 2, wall, took: span(took) }
}

/// The clock that dates events.
#[derive(Clone, Copy, Debug)]
pub struct EventClock {
    /// The wall-clock time at which boot time was 0.
    pub origin: Time,
    /// How often the clock was set.
    pub steps: u64,
    /// Reads both clocks.
    pub look: fn() -> ClockReading,
    stepped: Option<BootTime>,
}

impl EventClock {
    /// With the origin that has dated this boot's events so far. `look` is [`look`], but in tests.
    pub const fn new(origin: Time, look: fn() -> ClockReading) -> EventClock {
        EventClock { origin, steps: 0, look, stepped: None }
    }

    /// The wall-clock time by this origin.
    pub fn now(&self) -> Time {
        self.origin + span((self.look)().boot)
    }

    /// Takes over a step of the wall clock, if there was one. Returns by how much all dates of this boot move.
    pub fn step(&mut self, look: ClockReading) -> Option<Span> {
        let rests = self.stepped.is_some_and(|at| look.boot.saturating_sub(at) < PAUSE.as_nanos() as u64);
        if look.took > SHARP || rests {
            return None;
        }
        let step = look.origin() - self.origin;
        if Span(step.0.saturating_abs()) < STEP {
            return None;
        }
        self.origin = look.origin();
        self.stepped = Some(look.boot);
        self.steps += 1;
        Some(step)
    }
}

/// The wall-clock time at which boot time was 0, as the wall clock is set now.
pub fn booted() -> Time {
    look().origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn look_at(boot: u64, wall: i64) -> ClockReading {
        ClockReading { boot: boot * SECOND, wall: Time::from_seconds(wall), took: Span(1) }
    }

    #[test]
    fn steps_are_followed_and_small_corrections_suspension_and_late_readings_are_none() {
        assert!((wall() - EventClock::new(booted(), look).now()).0.abs() < 100_000);
        let mut clock = EventClock::new(Time::from_seconds(1_000), look);
        let mut corrected = look_at(6, 1_006);
        corrected.wall = corrected.wall + Span(400_000);
        // Boot time includes suspension, as the wall clock does: eight hours.
        let suspended = look_at(6 + 28_800, 1_006 + 28_800);
        let late = ClockReading { took: Span::from_seconds(2), ..look_at(7, 1_008) };
        assert_eq!([corrected, suspended, late].map(|look| clock.step(look)), [None; 3]);
        assert_eq!(clock.step(look_at(30_000, 34_600)), Some(Span::from_seconds(3_600)));
        assert_eq!(clock.step(look_at(30_011, 31_011)), Some(Span::from_seconds(-3_600)));
        assert_eq!((clock.steps, clock.origin), (2, Time::from_seconds(1_000)));
    }

    #[test]
    fn two_programs_that_set_the_clock_in_turns_are_followed_every_ten_seconds() {
        let mut clock = EventClock::new(Time(0), look);
        let steps = (0..100_u32).filter(|n| {
            let wall = i64::from(*n) + if n % 2 == 0 { 3_600 } else { 0 };
            clock.step(look_at(u64::from(*n), wall)).is_some()
        });
        assert!(steps.count() <= 10);
        clock.step(look_at(200, 200));
        assert_eq!(clock.origin, Time(0));
    }
}
