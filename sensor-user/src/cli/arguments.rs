//! Times on the command line.

use tattler_core::time::Time;
use tattler_core::when;

/// Reads a point in time: RFC 3339, a date or a date and time in UTC, or a span before now.
pub(super) fn time(text: &str) -> Result<Time, String> {
    when::time(text, now())
}

/// The current time of the wall clock.
pub(super) fn now() -> Time {
    Time(jiff::Timestamp::now().as_microsecond())
}
