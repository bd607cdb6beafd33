//! The result as rows, as in the JSON file.

use serde::Serialize;

use crate::limits::{self, Figure};
use crate::methods::Method;
use crate::run::{Score, Scores};

/// A figure of one family, size and method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureRow {
    /// The family's name.
    pub family: String,
    /// Number of addresses.
    pub size: usize,
    /// Name of the method: ours, fisher or distinct-count.
    pub method: &'static str,
    /// Name of the metric; see [`rows`].
    pub metric: &'static str,
    /// The figure, with its limits.
    #[serde(flatten)]
    pub figure: Figure,
}

/// All rows of a family at one size. A figure without values has no row.
///
/// | metric | meaning |
/// |---|---|
/// | average_precision | over homes in which a harvester leaked twice |
/// | recall_at_true_number | over the same homes, the share of n harvesters in the first n places |
/// | average_precision_minus_fisher, …_minus_distinct_count | our value minus the other method's, paired by home |
/// | names_anyone | share of homes in which any remote is accused |
/// | false_discovery, false_discovery_strong | wrong share of the accusations, and of the strong accusations |
/// | addresses_needed | probed addresses until the harvester is first and stays first, up to 20 |
/// | leaks_needed | number of these addresses that were probed because of the harvester, if it became first |
/// | first_after_5 | share of homes in which five probed addresses were enough |
/// | brier | Brier score of the stated probabilities |
/// | interval_coverage | share of the 95 % leak intervals of true harvesters that contain the truth |
#[must_use]
pub fn rows(family: &str, size: usize, scores: &[Scores]) -> Vec<FigureRow> {
    let mut rows = Vec::new();
    for method in Method::ALL {
        let of = || scores.iter().map(move |scores| &scores[method as usize]);
        let sum = |part: fn(&Score) -> usize| of().map(part).sum::<usize>();
        let all = |part: fn(&Score) -> Option<f64>| of().filter_map(part).collect::<Vec<f64>>();
        let mut add = |metric, figure: Option<Figure>| {
            let (family, method) = (family.to_owned(), method.as_str());
            rows.extend(figure.map(|figure| FigureRow { family, size, method, metric, figure }));
        };
        add("average_precision", limits::mean(&all(|score| score.average_precision)));
        add("recall_at_true_number", limits::mean(&all(|score| score.recall)));
        if method == Method::Ours {
            add("average_precision_minus_fisher", limits::mean(&lead(scores, Method::Fisher)));
            add("average_precision_minus_distinct_count", limits::mean(&lead(scores, Method::DistinctCount)));
        }
        add("names_anyone", limits::share(of().filter(|score| score.named > 0).count(), scores.len()));
        add("false_discovery", limits::share(sum(|score| score.wrong), sum(|score| score.named)));
        add("false_discovery_strong", limits::share(sum(|score| score.wrong_strong), sum(|score| score.strong)));
        let needed = all(|score| score.needed.map(|needed| needed as f64));
        add("addresses_needed", limits::mean(&needed));
        add("first_after_5", limits::share(needed.iter().filter(|&&needed| needed <= 5.0).count(), needed.len()));
        add("leaks_needed", limits::mean(&all(|score| score.needed_leaks.map(|leaks| leaks as f64))));
        add("brier", limits::mean(&all(|score| score.brier)));
        add("interval_coverage", limits::share(sum(|score| score.covered), sum(|score| score.intervals)));
    }
    rows
}

/// Average precision of our method minus average precision of another method, by home.
#[must_use]
pub fn lead(scores: &[Scores], other: Method) -> Vec<f64> {
    scores.iter().filter_map(|s| Some(s[0].average_precision? - s[other as usize].average_precision?)).collect()
}
