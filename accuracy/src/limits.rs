//! Figures with their limits: 95 %, two-sided.

use crate::statistics::clopper_pearson;

use crate::network::random::Random;

/// A figure and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Its limits.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// Of how many it is.
    pub n: usize,
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;

/// A share, with the limits of Clopper and Pearson. `None` of none.
#[must_use]
pub fn share(hits: usize, of: usize) -> Option<Figure> {
    let [low, high] = clopper_pearson(hits, of);
    (of > 0).then(|| Figure { value: hits as f64 / of as f64, low, high, n: of })
}

/// A mean, with the limits of a seeded percentile bootstrap. `None` of none.
#[must_use]
pub fn mean(values: &[f64]) -> Option<Figure> {
    mean_of_means(&[values])
}

/// The mean of the means of several groups, each weighing the same; resampled within groups. Groups
/// without values are left out.
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
    let mut random = Random::new("bootstrap", n, 1);
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn families_weigh_the_same_whatever_their_number_of_networks() {
        let figure = mean_of_means(&[&[1.0, 1.0, 1.0, 1.0], &[0.0], &[]]).unwrap();
        assert_eq!((figure.value, figure.low, figure.high, figure.n), (0.5, 0.5, 0.5, 5));
        assert_eq!(mean_of_means(&[&[]]), None);
        assert_eq!(share(0, 0), None);
    }
}
