//! What a ranking is worth, given the truth.

use crate::methods::Entry;
use crate::network::truth::Truth;

/// What an entry turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Names this harvester, and nobody innocent.
    Right(usize),
    /// Anything else.
    Wrong,
}

/// Judges all entries of a ranking.
#[must_use]
pub fn judge(entries: &[Entry], truth: &Truth) -> Vec<Judged> {
    entries.iter().map(|entry| truth.named_by(&entry.members).map_or(Judged::Wrong, Judged::Right)).collect()
}

/// The ranking as tied groups, best first: (entries, those of them that first name one of `wanted`).
///
/// Entries that name a harvester again, or one that nobody could find, are neither right nor wrong
/// and take no place.
fn groups(entries: &[Entry], judged: &[Judged], wanted: &[usize]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut groups: Vec<(f64, usize, usize)> = Vec::new();
    for (entry, judged) in entries.iter().zip(judged) {
        let right = match *judged {
            Judged::Wrong => 0,
            Judged::Right(n) if wanted.contains(&n) && !found.contains(&n) => {
                found.push(n);
                1
            }
            Judged::Right(_) => continue,
        };
        match groups.last_mut() {
            Some((score, all, rights)) if *score == entry.score => (*all, *rights) = (*all + 1, *rights + right),
            _ => groups.push((entry.score, 1, right)),
        }
    }
    groups.into_iter().map(|(_, all, right)| (all, right)).collect()
}

/// Average precision: the mean, over those who could be found, of the share of right entries down to
/// the one that names them; 0 for those that none names. Ties are in random order, of which this is
/// the exact mean (McSherry and Najork 2008, equation for tied scores). `None`: nobody to be found.
#[must_use]
pub fn average_precision(entries: &[Entry], judged: &[Judged], wanted: &[usize]) -> Option<f64> {
    if wanted.is_empty() {
        return None;
    }
    let (mut before, mut right_before, mut sum) = (0.0, 0.0, 0.0);
    for (all, right) in groups(entries, judged, wanted) {
        let (t, r) = (all as f64, right as f64);
        if right > 0 {
            let others = if all > 1 { (r - 1.0) / (t - 1.0) } else { 0.0 };
            let precision = |i: usize| (right_before + i as f64 * others + 1.0) / (before + i as f64 + 1.0);
            sum += r / t * (0..all).map(precision).sum::<f64>();
        }
        before += t;
        right_before += r;
    }
    Some(sum / wanted.len() as f64)
}

/// Of those who could be found, the share that stands in as many first places. Ties as above.
#[must_use]
pub fn recall_at_true_number(entries: &[Entry], judged: &[Judged], wanted: &[usize]) -> Option<f64> {
    let mut places = wanted.len() as f64;
    let mut found = 0.0;
    for (all, right) in groups(entries, judged, wanted) {
        let taken = places.min(all as f64);
        found += right as f64 * taken / all as f64;
        places -= taken;
    }
    (!wanted.is_empty()).then(|| found / wanted.len() as f64)
}

/// Mean square of the stated probability minus the truth, over entries that state one. Entries that
/// name a harvester which could not be found count as true: it leaked.
#[must_use]
pub fn brier(entries: &[Entry], judged: &[Judged]) -> Option<f64> {
    let stated = entries.iter().zip(judged).filter_map(|(entry, judged)| {
        let truth = f64::from(u8::from(*judged != Judged::Wrong));
        entry.probability.map(|probability| (probability - truth).powi(2))
    });
    let (sum, n) = stated.fold((0.0, 0.0), |(sum, n), square| (sum + square, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

#[cfg(test)]
mod tests;
