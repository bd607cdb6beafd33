//! Joins two units of one customer's prefix that go in step: one unit pings, and the other unit follows with SYNs.
//!
//! The kinds of the units differ, so their fingerprints cannot be compared. Two units are one scanner if the second
//! unit follows the first with the same delay, again and again. Only the times count, never the targets. Four causes
//! could make two tenants go in step, and are excluded:
//! - few probes: [`MATCHES`] bursts must meet
//! - many probes, some of which always meet: at other delays the bursts must not meet as often
//! - the clock: jobs of cron begin at the same seconds of the minute, so bursts must begin in at least [`PHASES`]
//!   twelfths of a minute
//! - a common cause, such as a visit of ours that two tenants learn of: each tenant has its own delay, which varies

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use ipnet::Ipv6Net;
use sensor_common::Kind;

use super::partition::Strand;
use super::union::Union;
use crate::time::{Span, Time};
use crate::view::frame::Frame;

/// Rows less than this time apart form one burst: ports tried together, or a scan without pauses.
const BURST: Span = Span::from_seconds(1);
/// The maximum delay from one unit to the other.
const DELAY: Span = Span::from_seconds(10);
/// The maximum difference between a delay and the usual delay.
const TOLERANCE: Span = Span(500_000);
/// The minimum number of bursts that must meet. Also, four fifths of the bursts of each unit must meet.
const MATCHES: usize = 12;
/// Differences from the usual delay, in seconds, at which bursts meet only by chance.
const OTHERS: [i64; 6] = [-8, -5, -3, 3, 5, 8];
/// The minimum number of twelfths of a minute that must contain a burst.
const PHASES: usize = 6;
/// The maximum number of units of one customer that are compared. A bound is needed since each unit is compared with
/// each.
const COMPARED: usize = 8;

/// A unit of a customer.
struct Unit {
    customer: Ipv6Net,
    kinds: BTreeSet<Kind>,
    bursts: Vec<Time>,
}

/// Joins the units that go in step. At this point, each unit must be within one customer's prefix.
pub(super) fn join(frame: &Frame, strands: &[Strand], strand_of: &[u32], union: &mut Union) {
    let roots = union.roots();
    let mut of_customer: HashMap<Ipv6Net, HashSet<u32>> = HashMap::new();
    // At dense hosters neighbours are strangers, and the prefix of a single customer is a guess.
    for (strand, &root) in strands.iter().zip(&roots).filter(|(strand, _)| strand.customer.prefix_len() <= 64) {
        of_customer.entry(strand.customer).or_default().insert(root);
    }
    of_customer.retain(|_, units| units.len() > 1);
    let mut units: HashMap<u32, Unit> = HashMap::new();
    for (row, &strand) in frame.ledger.probes().iter().zip(strand_of) {
        let (customer, root) = (strands[strand as usize].customer, roots[strand as usize]);
        if of_customer.contains_key(&customer) {
            let new = || Unit { customer, kinds: BTreeSet::new(), bursts: Vec::new() };
            let unit = units.entry(root).or_insert_with(new);
            unit.kinds.insert(row.kind);
            unit.bursts.push(row.first);
        }
    }
    let mut list: Vec<(u32, Unit)> = units.into_iter().collect();
    list.iter_mut().for_each(|(_, unit)| unit.bursts = begins(std::mem::take(&mut unit.bursts)));
    list.retain(|(_, unit)| unit.bursts.len() >= MATCHES);
    list.sort_unstable_by_key(|(root, unit)| (unit.customer, Reverse(unit.bursts.len()), *root));
    for neighbours in list.chunk_by(|a, b| a.1.customer == b.1.customer) {
        let compared = &neighbours[..neighbours.len().min(COMPARED)];
        for (i, (a_root, a)) in compared.iter().enumerate() {
            for (b_root, b) in &compared[..i] {
                if a.kinds.is_disjoint(&b.kinds) && in_step(&a.bursts, &b.bursts) {
                    union.join(*a_root, *b_root);
                }
            }
        }
    }
}

/// The start of each burst, in order.
fn begins(mut times: Vec<Time>) -> Vec<Time> {
    times.sort_unstable();
    let mut last = None;
    times.retain(|&at| last.replace(at).is_none_or(|before| at - before >= BURST));
    times
}

/// Whether `b` follows `a` with a constant delay. Both lists are in order.
fn in_step(a: &[Time], b: &[Time]) -> bool {
    let Some(delay) = usual_delay(a, b) else { return false };
    let (there, back) = (meet(a, b, delay), meet(b, a, -delay));
    let is_usual = |n: usize, of: &[Time]| n >= MATCHES && n * 5 >= of.len() * 4;
    let by_chance: usize = OTHERS.iter().map(|other| meet(a, b, delay + other * 1_000_000)).sum();
    let phases: HashSet<i64> = a.iter().map(|at| at.0.rem_euclid(60_000_000) / 5_000_000).collect();
    is_usual(there, a) && is_usual(back, b) && by_chance * 3 <= there * OTHERS.len() && phases.len() >= PHASES
}

/// The most frequent delay of a burst of `b` after a burst of `a`, within the tolerance, in microseconds.
fn usual_delay(a: &[Time], b: &[Time]) -> Option<i64> {
    let mut delays = Vec::new();
    for at in a {
        let from = b.partition_point(|&other| (other - *at).0 < -DELAY.0);
        // At most 20 delays, since the bursts of `b` are at least `BURST` apart.
        delays.extend(b[from..].iter().map(|&other| (other - *at).0).take_while(|&delay| delay <= DELAY.0));
    }
    delays.sort_unstable();
    let within = |i: usize| &delays[i..delays.partition_point(|&delay| delay <= delays[i] + 2 * TOLERANCE.0)];
    let most = (0..delays.len()).map(within).max_by_key(|like| like.len())?;
    Some(most[most.len() / 2])
}

/// Number of bursts of `a` that a burst of `b` follows after `delay`, in microseconds.
fn meet(a: &[Time], b: &[Time], delay: i64) -> usize {
    let meets = |at: Time| nearest(b, at).is_some_and(|near| (near - at).0.saturating_abs() <= TOLERANCE.0);
    a.iter().filter(|at| meets(Time(at.0.saturating_add(delay)))).count()
}

/// The time in an ordered list that is nearest to `at`.
fn nearest(list: &[Time], at: Time) -> Option<Time> {
    let next = list.partition_point(|&other| other < at);
    let around = list[next.saturating_sub(1)..].iter().take(2);
    around.copied().min_by_key(|&other| (other - at).0.saturating_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Campaigns;
    use crate::campaign::tests::{ledger_of, probe};
    use crate::observation::Probe;
    use crate::view::frame::Frame;

    /// Probes from one source at these times in milliseconds, each of another target.
    fn from(source: &str, kind: Kind, targets: u64, at: impl IntoIterator<Item = i64>) -> Vec<Probe> {
        let one = |(n, ms): (usize, i64)| Probe {
            ts: Time(ms * 1_000),
            ..probe(0, source, targets + n as u64, kind, if kind == Kind::Echo { 0 } else { 22 })
        };
        at.into_iter().enumerate().map(one).collect()
    }

    /// Irregular times, minutes apart, in milliseconds.
    fn irregular(seed: i64) -> impl Iterator<Item = i64> {
        let step = move |n: i64| 20_000 + (n * n * 7_919 + n * seed * 104_729 + seed) % 600_000;
        (0..20).scan(0, move |at, n| {
            *at += step(n);
            Some(*at)
        })
    }

    fn campaigns(of: [Vec<Probe>; 2]) -> usize {
        Campaigns::new(&Frame::new(&ledger_of(&of.concat()))).list.len()
    }

    #[test]
    fn pings_and_syns_that_follow_at_once_are_one() {
        let jitter = |(n, at): (usize, i64)| at + 1_100 + n as i64 * 37 % 200;
        let pings = || from("2a0e::a", Kind::Echo, 0, irregular(3));
        let syns = |source| from(source, Kind::Syn, 0, irregular(3).enumerate().map(jitter));
        assert_eq!(campaigns([pings(), syns("2a0e::b")]), 1);
        // The targets do not matter, but the prefix does.
        assert_eq!(campaigns([pings(), from("2a0e::b", Kind::Syn, 500, irregular(3).map(|at| at + 900))]), 1);
        assert_eq!(campaigns([pings(), syns("2a0e:0:0:1::b")]), 2);
        let few = |probes: Vec<Probe>| probes[..MATCHES - 1].to_vec();
        assert_eq!(campaigns([few(pings()), few(syns("2a0e::b"))]), 2);
    }

    #[test]
    fn two_tenants_of_a_64_with_different_rhythms_stay_two() {
        let pings = || from("2a0e::a", Kind::Echo, 0, irregular(3));
        assert_eq!(campaigns([pings(), from("2a0e::b", Kind::Syn, 0, irregular(4))]), 2);
        // The same visits of ours led to both units, each after its own delay.
        let slow = irregular(3).enumerate().map(|(n, at)| at + 500 + n as i64 * 3_701 % 8_000);
        assert_eq!(campaigns([pings(), from("2a0e::b", Kind::Syn, 0, slow)]), 2);
        // Half of the bursts meet.
        let half = irregular(3).enumerate().map(|(n, at)| if n % 2 == 0 { at + 1_000 } else { at + 40_000 });
        assert_eq!(campaigns([pings(), from("2a0e::b", Kind::Syn, 0, half)]), 2);
    }

    #[test]
    fn cron_jobs_and_dense_scans_are_not_in_step() {
        let hourly = |begin: i64| (0..40).map(move |n| n * 3_600_000 + begin);
        let cron = [from("2a0e::a", Kind::Echo, 0, hourly(1_000)), from("2a0e::b", Kind::Syn, 0, hourly(2_000))];
        assert_eq!(campaigns(cron), 2, "cron");
        let every = |begin: i64, pause: i64| (0..300).map(move |n| begin + n * pause);
        let dense = [from("2a0e::a", Kind::Echo, 0, every(0, 1_010)), from("2a0e::b", Kind::Syn, 0, every(300, 1_030))];
        assert_eq!(campaigns(dense), 2, "one each second");
        let flood = [from("2a0e::a", Kind::Echo, 0, every(0, 100)), from("2a0e::b", Kind::Syn, 0, every(300, 100))];
        assert_eq!(campaigns(flood), 2, "ten each second");
    }

    #[test]
    fn a_burst_begins_after_a_pause() {
        let times = |ms: &[i64]| ms.iter().map(|ms| Time(ms * 1_000)).collect::<Vec<_>>();
        assert_eq!(begins(times(&[5_000, 0, 400, 900, 1_800])), times(&[0, 5_000]));
        assert!(!in_step(&[], &times(&[1])) && !in_step(&times(&[1; 20]), &[]));
    }
}
