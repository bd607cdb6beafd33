//! The rhythm of a scanner: active once, at intervals, or continuously.

use crate::time::{Span, Time};

/// The rhythm of a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rhythm {
    /// Active once, for a day at most.
    OneOff,
    /// Active in rounds at equal distances.
    Periodic,
    /// Active in rounds at unequal distances.
    Returning,
    /// Active for more than a day without a pause.
    Steady,
}

/// Pauses that separate rounds, the shortest pause first: an hourly scanner has shorter pauses than a weekly scanner.
const PAUSES: [Span; 3] = [Span::from_seconds(20 * 60), Span::from_seconds(6 * 3_600), Span::from_days(2)];
/// The minimum number of rounds for a comparison of distances.
const ROUNDS: usize = 5;
/// The minimum pause after which a scanner counts as returning.
const RETURN: Span = Span::from_seconds(12 * 3_600);

impl Rhythm {
    /// The rhythm of a scanner that was active at these times.
    #[must_use]
    pub fn of(mut times: Vec<Time>) -> Rhythm {
        times.sort_unstable();
        let Some((&first, &last)) = times.first().zip(times.last()) else { return Rhythm::OneOff };
        if PAUSES.iter().any(|&pause| is_regular(&rounds(&times, pause))) {
            Rhythm::Periodic
        } else if rounds(&times, RETURN).len() > 1 {
            Rhythm::Returning
        } else if last - first > Span::from_days(1) {
            Rhythm::Steady
        } else {
            Rhythm::OneOff
        }
    }

    /// The name of the rhythm in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Rhythm::OneOff => "one-off",
            Rhythm::Periodic => "periodic",
            Rhythm::Returning => "returning",
            Rhythm::Steady => "steady",
        }
    }
}

/// The start and end of each round. `times` is in order.
fn rounds(times: &[Time], pause: Span) -> Vec<(Time, Time)> {
    times.chunk_by(|&a, &b| b - a <= pause).map(|round| (round[0], round[round.len() - 1])).collect()
}

/// Whether rounds are short and at least three quarters of the distances are within a twentieth of the median.
/// Activity that follows a household's days is neither punctual nor short. A quarter of the distances may differ,
/// since a round that did not reach us doubles a distance.
fn is_regular(rounds: &[(Time, Time)]) -> bool {
    if rounds.len() < ROUNDS {
        return false;
    }
    let distances: Vec<i64> = rounds.windows(2).map(|pair| (pair[1].0 - pair[0].0).0).collect();
    let distance = median(distances.clone());
    let near = distances.iter().filter(|d| d.abs_diff(distance) <= distance.unsigned_abs() / 20).count();
    let length = median(rounds.iter().map(|&(start, end)| (end - start).0).collect());
    near * 4 >= distances.len() * 3 && length <= distance / 10
}

fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: &[i64]) -> Rhythm {
        Rhythm::of(seconds.iter().map(|&s| Time::from_seconds(s)).collect())
    }

    #[test]
    fn rounds_at_equal_distances_are_periodic_and_others_return() {
        const HOUR: i64 = 3_600;
        assert_eq!(of(&[]), Rhythm::OneOff);
        assert_eq!(of(&[0, 10, 500]), Rhythm::OneOff);
        assert_eq!(of(&[0, HOUR, 2 * HOUR + 60, 3 * HOUR, 4 * HOUR - 60]), Rhythm::Periodic);
        let days: Vec<i64> = (0..8).flat_map(|day| (0..20).map(move |probe| day * 24 * HOUR + probe * 300)).collect();
        assert_eq!(of(&days), Rhythm::Periodic);
        assert_eq!(of(&[0, 60, 72 * HOUR, 72 * HOUR + 60, 200 * HOUR]), Rhythm::Returning);
        let visit = |day: i64, n: i64| day * 24 * HOUR + n * HOUR + (day * 10 + n).pow(2) * 1_237 % HOUR;
        let waking: Vec<i64> = (0..8).flat_map(|day| (0..10).map(move |n| visit(day, n))).collect();
        assert_eq!(of(&waking), Rhythm::Returning);
        let steady: Vec<i64> = (0..200).map(|n| n * 997 + (n * n * 7_919) % 4_000).collect();
        assert_eq!(of(&steady), Rhythm::Steady);
        assert_eq!(Rhythm::of(vec![Time(i64::MIN), Time(i64::MAX)]), Rhythm::Returning);
    }
}
