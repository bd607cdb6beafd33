//! Values on the command line, validated in one step.

use tattler_core::time::Time;
use tattler_core::when;

/// A point in time: RFC 3339, a date or a date and time in UTC, or back from now.
pub(super) fn time(text: &str) -> Result<Time, String> {
    when::time(text, now())
}

/// The wall clock.
pub(super) fn now() -> Time {
    Time(jiff::Timestamp::now().as_microsecond())
}
