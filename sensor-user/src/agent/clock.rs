//! Boot time and wall clock.
//!
//! The two differ by a constant, the *origin*, until somebody sets the wall clock: what keeps it right
//! by small corrections (adjtimex) makes boot time faster or slower by as much. So there is nothing to
//! be followed but steps. The sensor dates events by the origin that it has, until it takes a step over,
//! and then dates everything of this boot anew; in between, order and lags are right all the same.

use std::fmt;
use std::time::Duration;

use sensor_common::wire::BootTime;
use tattler_core::time::{Span, Time};

/// The wall clock may differ by so much from what the origin says, either way, before that is a step. A
/// second comes and goes by the calendar; half of one is below what anybody sets by hand.
pub const STEP: Span = Span(500_000);
/// After a step, no other is taken over for so long: two that set the clock in turns would have
/// everything dated anew without end.
pub const PAUSE: Duration = Duration::from_secs(10);
/// A look that took longer says nothing: the sensor may have been off its CPU between the two clocks.
const SHARP: Span = Span(50_000);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Nanoseconds since boot.
    pub boot: BootTime,
    /// The wall-clock time.
    pub wall: Time,
    /// How long it took to read them.
    pub took: Span,
}

impl Look {
    fn origin(self) -> Time {
        self.wall - micros(self.boot)
    }
}

/// Looks at both clocks.
#[must_use]
pub fn look() -> Look {
    let before = boot();
    let wall = wall();
    let took = boot().saturating_sub(before);
    Look { boot: before + took / 2, wall, took: micros(took) }
}

/// By which events are dated.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Time,
    stepped: Option<BootTime>,
    steps: u64,
    look: fn() -> Look,
}

impl Clock {
    /// With the origin by which this boot's events were dated so far.
    #[must_use]
    pub const fn new(origin: Time) -> Clock {
        Clock::by(origin, look)
    }

    /// The same, by other clocks than the machine's.
    #[must_use]
    pub const fn by(origin: Time, look: fn() -> Look) -> Clock {
        Clock { origin, stepped: None, steps: 0, look }
    }

    /// Looks at both clocks.
    #[must_use]
    pub fn look(&self) -> Look {
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

    /// The time by which all else is dated.
    #[must_use]
    pub fn now(&self) -> Time {
        self.at(self.look().boot)
    }

    /// What the clock showed at a point in boot time, as it is set now.
    #[must_use]
    pub fn at(&self, boot: BootTime) -> Time {
        self.origin + micros(boot)
    }

    /// Takes over a step, if there was one: everything of this boot is by so much later now.
    pub fn step(&mut self, look: Look) -> Option<Span> {
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

/// `forward by 6 years 3 days`, `back by 1 hour`.
pub struct By(pub Span);

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 5] =
            [(365 * 86_400, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
        f.write_str(if self.0.0 < 0 { "back by" } else { "forward by" })?;
        let whole = (self.0.0.unsigned_abs() + 500_000) / 1_000_000;
        if whole < 2 {
            return write!(f, " {:.1} seconds", self.0.seconds().abs());
        }
        let (mut left, mut told) = (whole, 0);
        for (seconds, unit) in UNITS {
            let n = left / seconds;
            left %= seconds;
            if n > 0 && told < 2 {
                write!(f, " {n} {unit}{}", if n == 1 { "" } else { "s" })?;
                told += 1;
            }
        }
        Ok(())
    }
}

/// Nanoseconds since boot, suspend included: the clock of the events.
#[must_use]
pub fn boot() -> BootTime {
    read(libc::CLOCK_BOOTTIME)
}

/// The wall clock.
#[must_use]
pub fn wall() -> Time {
    Time::from_nanos(read(libc::CLOCK_REALTIME).try_into().unwrap_or(i64::MAX))
}

/// The wall-clock time at which boot time was 0, by today's wall clock.
#[must_use]
pub fn booted() -> Time {
    look().origin()
}

fn micros(nanos: u64) -> Span {
    Span(i64::try_from(nanos / 1_000).unwrap_or(i64::MAX))
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing, and both clocks exist on every kernel that we run on.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn look_at(boot: u64, wall: i64) -> Look {
        Look { boot: boot * SECOND, wall: Time::from_seconds(wall), took: Span(1) }
    }

    #[test]
    fn boot_time_and_its_origin_add_up_to_the_wall_clock() {
        let sum = Clock::new(booted()).now();
        assert!((wall() - sum).0.abs() < 100_000);
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_either_way_and_one_that_is_kept_right_is_not() {
        let mut clock = Clock::new(Time::from_seconds(1_000));
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
        let mut clock = Clock::new(Time::from_seconds(1_000));
        assert_eq!(clock.step(look_at(5, 1_005)), None);
        assert_eq!(clock.step(look_at(5 + 28_800, 1_005 + 28_800)), None);
    }

    #[test]
    fn a_sensor_that_was_off_its_cpu_between_the_clocks_takes_that_for_no_step() {
        let mut clock = Clock::new(Time::from_seconds(1_000));
        assert_eq!(clock.step(Look { took: Span::from_seconds(2), ..look_at(5, 1_006) }), None);
    }

    #[test]
    fn two_that_set_the_clock_in_turns_are_followed_every_ten_seconds_and_to_the_last() {
        let mut clock = Clock::new(Time(0));
        let steps = (0..100_u32).filter(|n| {
            let wall = i64::from(*n) + if n % 2 == 0 { 3_600 } else { 0 };
            clock.step(look_at(u64::from(*n), wall)).is_some()
        });
        assert!(steps.count() <= 10);
        clock.step(look_at(200, 200));
        assert_eq!(clock.origin(), Time(0));
    }

    #[test]
    fn steps_read_well() {
        let by = |seconds| By(Span::from_seconds(seconds)).to_string();
        assert_eq!(by(6 * 365 * 86_400 + 3 * 86_400 + 7), "forward by 6 years 3 days");
        assert_eq!([by(-3_600), by(61)], ["back by 1 hour", "forward by 1 minute 1 second"]);
        assert_eq!(By(Span(-700_000)).to_string(), "back by 0.7 seconds");
    }
}
