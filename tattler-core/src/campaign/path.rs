//! Path probes: echo requests with hop limits that ascend step by step. This is a traceroute by ping.
//!
//! If a prober uses one target for all hops, a single row shows the path probe. If a prober uses another target for
//! each hop, only the rows of the prober together show it: in order of time, each hop limit equals the hop limit of
//! the previous row, or is one higher.

use sensor_common::Kind;

use crate::ledger::{AddrId, ProbeRow};
use crate::time::{Span, Time};

/// The minimum number of hop limits in a path probe. Fewer steps may be chance.
const STEPS: u32 = 4;
/// The maximum pause between two steps.
const PAUSE: Span = Span::from_seconds(60);

/// For each row, whether the row is part of a path probe.
pub(super) fn path_rows(rows: &[ProbeRow]) -> Vec<bool> {
    let mut is_path: Vec<bool> = rows.iter().map(ProbeRow::is_path_probe).collect();
    let mut echoes: Vec<(AddrId, Time, u8, u32)> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(hop) = row.print.hop_limit.filter(|_| row.kind == Kind::Echo) {
            echoes.push((row.source, row.first, hop, i as u32));
        }
    }
    echoes.sort_unstable();
    for of_source in echoes.chunk_by(|a, b| a.0 == b.0) {
        let next = |a: &(AddrId, Time, u8, u32), b: &(AddrId, Time, u8, u32)| {
            b.1 - a.1 <= PAUSE && (b.2 == a.2 || a.2.checked_add(1) == Some(b.2))
        };
        for run in of_source.chunk_by(next) {
            if u32::from(run[run.len() - 1].2 - run[0].2) + 1 >= STEPS {
                run.iter().for_each(|&(.., i)| is_path[i as usize] = true);
            }
        }
    }
    is_path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::tests::{echo, ledger_of};

    fn path(hops: &[(i64, u8)]) -> usize {
        let rows: Vec<_> = hops.iter().enumerate().map(|(i, &(ts, hop))| echo(ts, "2a0e::1", i as u64, hop)).collect();
        path_rows(ledger_of(&rows).probes()).into_iter().filter(|&is| is).count()
    }

    #[test]
    fn hop_limits_that_ascend_over_targets_are_a_path_probe() {
        assert_eq!(path(&[(0, 3), (1, 3), (2, 4), (3, 4), (4, 5), (5, 5), (6, 6), (7, 6)]), 8, "Akamai's pairs");
        assert_eq!(path(&[(0, 70), (1, 71), (2, 72), (3, 73), (4, 74)]), 5, "high ones as well");
        assert_eq!(path(&[(0, 50), (1, 51), (2, 52)]), 0, "three steps may be chance");
        assert_eq!(path(&[(0, 50), (100, 51), (200, 52), (300, 53)]), 0, "too slow");
        assert_eq!(path(&[(0, 50), (1, 52), (2, 51), (3, 53)]), 0, "no order");
        assert_eq!(path(&[(0, 255), (1, 255)]), 0);
    }

    #[test]
    fn high_hop_limits_that_ascend_at_one_target_are_a_path_probe() {
        let rows: Vec<_> = (66..71).map(|hop| echo(0, "2a0e::1", 1, hop)).collect();
        assert_eq!(path_rows(ledger_of(&rows).probes()), [true]);
    }
}
