//! The quality of a ranking, given the truth.

use homes::Truth;

use crate::methods::RankedEntry;

/// The harvester that each entry of a ranking names; `None` if the entry is wrong.
#[must_use]
pub fn judge(entries: &[RankedEntry], truth: &Truth) -> Vec<Option<usize>> {
    entries.iter().map(|entry| truth.named_by(&entry.members)).collect()
}

/// Groups of tied entries, the best group first. Each group has two numbers: the number of entries, and the number of
/// entries that are the first to name one of the `wanted` harvesters. An entry takes no place if it names a harvester
/// again, or a harvester that can't be found.
fn groups(entries: &[RankedEntry], judged: &[Option<usize>], wanted: &[usize]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut groups: Vec<(f64, usize, usize)> = Vec::new();
    for (entry, judged) in entries.iter().zip(judged) {
        let right = match *judged {
            None => 0,
            Some(n) if wanted.contains(&n) && !found.contains(&n) => {
                found.push(n);
                1
            }
            Some(_) => continue,
        };
        match groups.last_mut() {
            Some((score, all, rights)) if *score == entry.score => (*all, *rights) = (*all + 1, *rights + right),
            _ => groups.push((entry.score, 1, right)),
        }
    }
    groups.into_iter().map(|(_, all, right)| (all, right)).collect()
}

/// Average precision: the mean over all harvesters that can be found. The value of a harvester is the share of right
/// entries in the ranking down to the entry that names the harvester, or 0 without such an entry. Tied entries are in
/// random order, and the result is the exact mean over all orders (McSherry and Najork 2008). `None`: no harvester
/// can be found.
#[must_use]
pub fn average_precision(entries: &[RankedEntry], judged: &[Option<usize>], wanted: &[usize]) -> Option<f64> {
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

/// Recall: with n harvesters that can be found, the share of these harvesters in the first n places. Ties count as in
/// [`average_precision`].
#[must_use]
pub fn recall_at_true_number(entries: &[RankedEntry], judged: &[Option<usize>], wanted: &[usize]) -> Option<f64> {
    let mut places = wanted.len() as f64;
    let mut found = 0.0;
    for (all, right) in groups(entries, judged, wanted) {
        let taken = places.min(all as f64);
        found += right as f64 * taken / all as f64;
        places -= taken;
    }
    (!wanted.is_empty()).then(|| found / wanted.len() as f64)
}

/// Mean square of the stated probability minus the truth, over entries with a stated probability. The truth of an
/// entry that names a harvester is 1, even if the harvester can't be found.
#[must_use]
pub fn brier(entries: &[RankedEntry], judged: &[Option<usize>]) -> Option<f64> {
    let stated = entries.iter().zip(judged).filter_map(|(entry, judged)| {
        let truth = f64::from(u8::from(judged.is_some()));
        entry.probability.map(|probability| (probability - truth).powi(2))
    });
    let (sum, n) = stated.fold((0.0, 0.0), |(sum, n), square| (sum + square, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

#[cfg(test)]
mod tests;
