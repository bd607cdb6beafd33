//! The time that retention uses.
//!
//! Deleted rows can't be restored when a wrong wall clock is corrected. A wall clock far ahead of the last believed
//! time has two possible reasons: the clock is wrong, or the machine was off for weeks. So the clock is believed only
//! after a day of running. A clock far behind deletes no rows: the machine may have no battery for the clock, and the
//! clock may not be set from the network yet. Until the clock is believed, the last believed time stays.

use rusqlite::params;
use tattler_core::time::{Span, Time};

use super::{Store, WriteError};

/// Maximum difference between the last believed time and a clock that is believed immediately.
const OFF: Span = Span::from_days(1);
/// The time, running or suspended, after which any other clock is believed. A restart does not reset the elapsed time,
/// because a machine may run for only an hour a day.
const STANDS: Span = Span::from_days(1);

/// The believed time, and any doubt about the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// The last believed time. `None` before the first reading of the clock: the first reading is always believed.
    pub believed: Option<Time>,
    /// The time for which the clock has been far ahead of the believed time, or far behind (negative).
    pub stood: Span,
}

impl Belief {
    /// Returns the time that retention uses. `wall` is the time of the wall clock, `ran` the time since the last call.
    pub fn now(&mut self, wall: Time, ran: Span) -> Time {
        let believed = self.believed.map_or(wall, |believed| believed + ran);
        let off = wall - believed;
        // At least 1, because 0 means no doubt.
        let ran = ran.0.max(1);
        let stood = match off {
            off if off > OFF => self.stood.0.max(0).saturating_add(ran),
            off if off < Span(-OFF.0) => self.stood.0.min(0).saturating_sub(ran),
            _ => 0,
        };
        let holds = stood != 0 && stood.abs() < STANDS.0;
        let (believed, stood) = if holds { (believed, stood) } else { (wall, 0) };
        *self = Belief { believed: Some(believed), stood: Span(stood) };
        believed.min(wall)
    }

    /// Whether the wall clock is far ahead and not believed yet.
    #[must_use]
    pub fn doubts(&self) -> bool {
        self.stood > Span(0)
    }
}

impl Store {
    /// Reads the stored belief.
    pub fn belief(&self) -> Result<Belief, WriteError> {
        let read = self.connection.query_row("SELECT believed, stood FROM clock", [], |row| {
            Ok(Belief { believed: row.get::<_, Option<i64>>(0)?.map(Time), stood: Span(row.get(1)?) })
        });
        read.map_err(|error| WriteError::new(&self.path, error))
    }

    /// Returns the time that retention uses when the wall clock shows `wall`.
    pub fn believed_now(&self, wall: Time) -> Result<Time, WriteError> {
        Ok(self.belief()?.now(wall, Span(0)))
    }

    /// Stores the belief.
    pub fn believe(&mut self, belief: Belief) -> Result<(), WriteError> {
        let Belief { believed, stood } = belief;
        let sql = "UPDATE clock SET believed = ?1, stood = ?2";
        let written = self.connection.execute(sql, params![believed.map(|time| time.0), stood.0]);
        written.map(drop).map_err(|error| WriteError::new(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Span = Span::from_seconds(3_600);

    /// Reads a clock every hour, and returns the believed times.
    fn hours(belief: &mut Belief, from: Time, count: i64) -> Vec<Time> {
        (0..count).map(|hour| belief.now(from + Span(hour * HOUR.0), HOUR)).collect()
    }

    #[test]
    fn a_clock_years_ahead_for_hours_deletes_nothing() {
        let (now, astray) = (Time::from_seconds(1_800_000_000), Time::from_seconds(2_150_000_000));
        let mut belief = Belief::default();
        assert_eq!(belief.now(now, HOUR), now);
        let believed = hours(&mut belief, astray, 22);
        assert_eq!(believed.last(), Some(&(now + Span(22 * HOUR.0))), "running time has passed");
        assert!(belief.doubts());
        // When the clock is right again, the clock is believed immediately.
        let back = now + Span(23 * HOUR.0);
        assert_eq!(belief.now(back, HOUR), back);
        assert!(!belief.doubts());
    }

    #[test]
    fn a_machine_that_boots_in_1970_keeps_the_believed_time() {
        let now = Time::from_seconds(1_800_000_000);
        assert_eq!(Belief::default().now(now, HOUR), now);
        let mut belief = Belief { believed: Some(now), stood: Span(0) };
        for boot in 0..30 {
            let today = now + Span(boot * 10 * HOUR.0);
            assert_eq!(belief.now(Time(0), Span(0)), Time(0), "which deletes nothing");
            assert!(!belief.doubts());
            let believed = hours(&mut belief, today, 10);
            assert_eq!(believed[9], today + Span(9 * HOUR.0), "boot {boot}");
        }
    }

    #[test]
    fn time_behind_does_not_count_for_a_clock_ahead() {
        let now = Time::from_seconds(1_800_000_000);
        let mut belief = Belief { believed: Some(now), stood: Span(0) };
        hours(&mut belief, Time(0), 23);
        let believed = hours(&mut belief, Time::from_seconds(2_150_000_000), 2);
        assert!(believed[1] < now + Span(26 * HOUR.0));
        // A clock that stays behind is finally believed. The right time is then far ahead of the believed time.
        hours(&mut belief, Time(0), 26);
        assert!(belief.now(now, HOUR) < Time::from_seconds(1_000_000));
    }
}
