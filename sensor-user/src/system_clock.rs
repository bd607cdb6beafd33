//! The two clocks of the system: time since boot and wall clock.

use rustix::time::{ClockId, clock_gettime};
use sensor_common::wire::BootTime;
use tattler_core::time::{Span, Time};

/// Nanoseconds since boot, suspend included: the clock of the events.
#[must_use]
pub fn boot() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The time since boot as a span.
#[must_use]
pub fn since_boot() -> Span {
    span(boot())
}

/// The wall clock.
#[must_use]
pub fn wall() -> Time {
    Time(jiff::Timestamp::now().as_microsecond())
}

/// A time since boot as a span.
#[must_use]
pub fn span(boot: BootTime) -> Span {
    Span(i64::try_from(boot / 1_000).unwrap_or(i64::MAX))
}
