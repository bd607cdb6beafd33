//! Boot time and wall clock.
//!
//! The two differ by a constant, the *origin*, until somebody sets the wall clock: small corrections (adjtimex)
//! speed up or slow down both alike. So only steps have to be followed. The sensor dates events by its origin
//! until it takes a step over, and then changes the dates of everything of this boot; in between, order and lags
//! are right all the same.

use std::time::Duration;

use sensor_common::wire::BootTime;
use tattler_core::time::{Span, Time};

use crate::system_clock::span;
pub use crate::system_clock::{boot, wall};

/// The wall clock may differ by so much from boot time plus origin, either way, before that is a step. A leap
/// second is taken over; half a second is less than anybody sets by hand.
pub const STEP: Span = Span(500_000);
/// After a step, none is taken over for so long: two programs that set the clock in turns would otherwise have
/// all dates rewritten without end.
pub const PAUSE: Duration = Duration::from_secs(10);
/// A reading that took longer is ignored: the process may have been off its CPU between the two clocks.
const SHARP: Span = Span(50_000);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// Nanoseconds since boot.
    pub boot: BootTime,
    /// The wall-clock time.
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
#[must_use]
pub fn look() -> ClockReading {
    let before = boot();
    let wall = wall();
    let took = boot().saturating_sub(before);
    ClockReading { boot: before + took / 2, wall, took: span(took) }
}

/// The clock that dates events.
#[derive(Clone, Copy, Debug)]
pub struct EventClock {
    origin: Time,
    stepped: Option<BootTime>,
    steps: u64,
    look: fn() -> ClockReading,
}

impl EventClock {
    /// With the origin that has dated this boot's events so far.
    #[must_use]
    pub const fn new(origin: Time) -> EventClock {
        EventClock::by(origin, look)
    }

    /// The same with other clocks than the machine's.
    #[must_use]
    pub const fn by(origin: Time, look: fn() -> ClockReading) -> EventClock {
        EventClock { origin, stepped: None, steps: 0, look }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn look(&self) -> ClockReading {
        (self.look)()
    }

    /// The wall-clock time at which boot time was 0.
    #[must_use]
    pub const fn origin(&self) -> Time {
        self.origin
    }

    /// How often the clock was set.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The wall-clock time by this origin.
    #[must_use]
    pub fn now(&self) -> Time {
        self.at(self.look().boot)
    }

    /// The wall-clock time of a point in boot time, as the clock is set now.
    #[must_use]
    pub fn at(&self, boot: BootTime) -> Time {
        self.origin + span(boot)
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
#[must_use]
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
    fn boot_time_and_its_origin_add_up_to_the_wall_clock() {
        let sum = EventClock::new(booted()).now();
        assert!((wall() - sum).0.abs() < 100_000);
    }

    #[test]
    fn steps_either_way_are_noticed_and_small_corrections_are_not() {
        let mut clock = EventClock::new(Time::from_seconds(1_000));
        assert_eq!(clock.step(look_at(5, 1_005)), None);
        let mut late = look_at(6, 1_006);
        late.wall = late.wall + Span(400_000);
        assert_eq!(clock.step(late), None);
        assert_eq!(clock.step(look_at(10, 4_610)), Some(Span::from_seconds(3_600)));
        assert_eq!(clock.at(10 * SECOND), Time::from_seconds(4_610));
        assert_eq!(clock.step(look_at(21, 1_021)), Some(Span::from_seconds(-3_600)));
        assert_eq!((clock.steps(), clock.origin()), (2, Time::from_seconds(1_000)));
    }

    #[test]
    fn a_machine_that_was_suspended_has_the_same_origin() {
        // Boot time goes on, as the wall clock does: eight hours.
        let mut clock = EventClock::new(Time::from_seconds(1_000));
        assert_eq!(clock.step(look_at(5, 1_005)), None);
        assert_eq!(clock.step(look_at(5 + 28_800, 1_005 + 28_800)), None);
    }

    #[test]
    fn a_pause_between_the_two_readings_is_no_step() {
        let mut clock = EventClock::new(Time::from_seconds(1_000));
        assert_eq!(clock.step(ClockReading { took: Span::from_seconds(2), ..look_at(5, 1_006) }), None);
    }

    #[test]
    fn two_programs_that_set_the_clock_in_turns_are_followed_every_ten_seconds() {
        let mut clock = EventClock::new(Time(0));
        let steps = (0..100_u32).filter(|n| {
            let wall = i64::from(*n) + if n % 2 == 0 { 3_600 } else { 0 };
            clock.step(look_at(u64::from(*n), wall)).is_some()
        });
        assert!(steps.count() <= 10);
        clock.step(look_at(200, 200));
        assert_eq!(clock.origin(), Time(0));
    }
}
