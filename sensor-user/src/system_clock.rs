//! The two clocks of the system: time since boot and wall clock.

use rustix::time::{ClockId, clock_gettime};
use sensor_common::wire::BootTime;
use tattler_core::time::{Span, Time};

/// Nanoseconds since boot, suspend included: the clock of the events.
#[must_use]
pub fn boot() -> BootTime {
    read(ClockId::Boottime)
}

/// The time since boot as a span.
#[must_use]
pub fn since_boot() -> Span {
    span(boot())
}

/// The wall clock.
#[must_use]
pub fn wall() -> Time {
    Time::from_nanos(read(ClockId::Realtime).try_into().unwrap_or(i64::MAX))
}

/// A time since boot as a span.
#[must_use]
pub fn span(boot: BootTime) -> Span {
    Span(i64::try_from(boot / 1_000).unwrap_or(i64::MAX))
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
