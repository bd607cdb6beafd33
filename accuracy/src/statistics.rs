//! Fisher's exact test and the interval of Clopper and Pearson: the yardstick's own, so that it does
//! not bend with the model's.

use statrs::function::beta::inv_beta_reg;
use statrs::function::factorial::ln_factorial;

/// Upper tail of Fisher's exact test: `a` contacted and probed, `b` contacted and spared, `c` and `d`
/// the same for those that did not contact.
#[must_use]
pub fn fisher(a: u64, b: u64, c: u64, d: u64) -> f64 {
    let ln_choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let all = ln_choose(a + b + c + d, a + c);
    let chance = |x: u64| (ln_choose(a + b, x) + ln_choose(c + d, a + c - x) - all).exp();
    (a..=(a + b).min(a + c)).map(chance).sum::<f64>().min(1.0)
}

/// The exact 95 % interval of a share; of nothing, all of it.
#[must_use]
pub fn clopper_pearson(hits: usize, of: usize) -> [f64; 2] {
    let (k, n) = (hits as f64, of as f64);
    let low = if hits == 0 { 0.0 } else { inv_beta_reg(k, n - k + 1.0, 0.025) };
    let high = if hits >= of { 1.0 } else { inv_beta_reg(k + 1.0, n - k, 0.975) };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fisher_agrees_with_tables_worked_by_hand() {
        // The lady who tasted tea: three of four right.
        assert!((fisher(3, 1, 1, 3) - 17.0 / 70.0).abs() < 1e-9);
        assert!((fisher(10, 0, 0, 20) * 30_045_015.0 - 1.0).abs() < 1e-6);
        assert!((fisher(0, 5, 5, 0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_interval_agrees_with_published_values_and_with_the_rule_of_three() {
        let [low, high] = clopper_pearson(8, 10);
        assert!((low - 0.4439).abs() < 1e-4 && (high - 0.9748).abs() < 1e-4, "{low} {high}");
        let [low, high] = clopper_pearson(0, 400);
        assert!(low == 0.0 && (high - 0.009_18).abs() < 1e-4, "{high}");
        assert_eq!(clopper_pearson(0, 0), [0.0, 1.0]);
    }
}
