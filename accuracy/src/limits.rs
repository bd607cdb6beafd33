//! Figures with two-sided 95 % limits.

use homes::SeededRandom;
use serde::Serialize;
use statrs::function::beta::inv_beta_reg;

/// A figure and its confidence limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// The lower limit: by Clopper and Pearson for shares, by a seeded bootstrap for means.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
    /// Number of homes, accusations or intervals that the figure covers.
    pub n: usize,
}

/// Number of resamples of a bootstrap.
const RESAMPLES: usize = 2_000;

/// A share with the limits of Clopper and Pearson. `None` if `of` is 0.
#[must_use]
pub fn share(hits: usize, of: usize) -> Option<Figure> {
    let [low, high] = clopper_pearson(hits, of);
    (of > 0).then(|| Figure { value: hits as f64 / of as f64, low, high, n: of })
}

/// A mean with the limits of a seeded percentile bootstrap. `None` without values.
#[must_use]
pub fn mean(values: &[f64]) -> Option<Figure> {
    mean_of_means(&[values])
}

/// The mean of the means of several groups. The groups have equal weights, and values are resampled within groups.
/// Groups without values are left out.
#[must_use]
pub fn mean_of_means(groups: &[&[f64]]) -> Option<Figure> {
    let groups: Vec<&[f64]> = groups.iter().copied().filter(|group| !group.is_empty()).collect();
    if groups.is_empty() {
        return None;
    }
    let average = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n as f64;
    let over = groups.len() as f64;
    let value = groups.iter().map(|group| average(&mut group.iter().copied(), group.len())).sum::<f64>() / over;
    let n = groups.iter().map(|group| group.len()).sum();
    let is_constant = groups.iter().all(|group| group.iter().all(|x| *x == group[0]));
    if is_constant {
        return Some(Figure { value, low: value, high: value, n });
    }
    let mut random = SeededRandom::new("bootstrap", n, 1);
    let mut resample = || {
        let means = groups.iter().map(|group| {
            let mut drawn = (0..group.len()).map(|_| group[random.below(group.len())]);
            average(&mut drawn, group.len())
        });
        means.sum::<f64>() / over
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    Some(Figure { value, low: means[RESAMPLES * 25 / 1_000], high: means[RESAMPLES * 975 / 1_000 - 1], n })
}

/// The exact 95 % interval of a share.
fn clopper_pearson(hits: usize, of: usize) -> [f64; 2] {
    let (k, n) = (hits as f64, of as f64);
    let low = if hits == 0 { 0.0 } else { inv_beta_reg(k, n - k + 1.0, 0.025) };
    let high = if hits >= of { 1.0 } else { inv_beta_reg(k + 1.0, n - k, 0.975) };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_interval_agrees_with_published_values_and_with_the_rule_of_three() {
        let [low, high] = clopper_pearson(8, 10);
        assert!((low - 0.4439).abs() < 1e-4 && (high - 0.9748).abs() < 1e-4, "{low} {high}");
        let [low, high] = clopper_pearson(0, 400);
        assert!(low == 0.0 && (high - 0.009_18).abs() < 1e-4, "{high}");
        assert_eq!(clopper_pearson(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn the_bootstrap_agrees_with_the_normal_approximation() {
        // 200 values, half 0 and half 1: the mean's standard error is 0.0354.
        let values: Vec<f64> = (0..200).map(|n| f64::from(n % 2)).collect();
        let figure = mean(&values).unwrap();
        assert_eq!((figure.value, figure.n), (0.5, 200));
        assert!((figure.low - 0.431).abs() < 0.015 && (figure.high - 0.569).abs() < 0.015, "{figure:?}");
        assert_eq!(mean(&values), mean(&values), "seeded");
    }

    #[test]
    fn groups_have_equal_weights_whatever_their_sizes() {
        let figure = mean_of_means(&[&[1.0, 1.0, 1.0, 1.0], &[0.0], &[]]).unwrap();
        assert_eq!((figure.value, figure.low, figure.high, figure.n), (0.5, 0.5, 0.5, 5));
        assert_eq!(mean_of_means(&[&[]]), None);
        assert_eq!(share(0, 0), None);
    }
}
