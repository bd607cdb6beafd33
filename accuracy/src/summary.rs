//! The figures over all families. Tattler has targets for these figures.

use homes::HomeSize;

use crate::families::{Expect, Family};
use crate::limits::{self, Figure};
use crate::methods::Method;
use crate::rows::{FigureRow, lead};
use crate::run::{Score, Scores};

/// The homes of a family at one size.
pub struct Cell {
    /// The family.
    pub family: Family,
    /// The size.
    pub size: HomeSize,
    /// The scores of the cell's homes.
    pub scores: Vec<Scores>,
}

/// The summary as lines, and as rows of a family called `all`.
pub struct OverallSummary {
    /// Lines for people.
    pub lines: Vec<String>,
    /// Rows for the JSON file.
    pub rows: Vec<FigureRow>,
}

impl OverallSummary {
    /// Summarises all cells.
    #[must_use]
    pub fn new(cells: &[Cell]) -> OverallSummary {
        let mut summary = OverallSummary { lines: Vec::new(), rows: Vec::new() };
        for size in HomeSize::ALL {
            summary.precision(cells, size, false, "average_precision_hours", "lags up to hours");
            summary.precision(cells, size, true, "average_precision_hard", "lags of days, 8 % leaks");
        }
        summary.clean(cells);
        summary.discoveries(cells);
        summary.others(cells);
        summary.behind(cells);
        summary
    }

    fn row(&mut self, size: usize, method: Method, metric: &'static str, figure: Figure) {
        let (family, method) = ("all".to_owned(), method.as_str());
        self.rows.push(FigureRow { family, size, method, metric, figure });
    }

    fn precision(&mut self, cells: &[Cell], size: HomeSize, hard: bool, metric: &'static str, what: &str) {
        let of = || {
            cells
                .iter()
                .filter(move |cell| cell.size == size && cell.family.expect == Expect::Rank && cell.family.hard == hard)
        };
        let mut parts = Vec::new();
        for method in Method::ALL {
            let families: Vec<Vec<f64>> = of().map(|cell| precisions(cell, method)).collect();
            let families: Vec<&[f64]> = families.iter().map(Vec::as_slice).collect();
            if let Some(figure) = limits::mean_of_means(&families) {
                parts.push(format!("{} {}", method.as_str(), with_limits(figure)));
                self.row(size.addresses(), method, metric, figure);
            }
        }
        if !parts.is_empty() {
            let head = format!("average precision, {} addresses, {what} ({} families)", size.addresses(), of().count());
            self.lines.push(format!("{head}: {}", parts.join(", ")));
        }
    }

    fn clean(&mut self, cells: &[Cell]) {
        for method in Method::ALL {
            let of = |size: Option<HomeSize>| {
                let cells = cells.iter().filter(|cell| cell.family.clean && size.is_none_or(|size| cell.size == size));
                let scores = cells.flat_map(|cell| &cell.scores).map(|scores| &scores[method as usize]);
                scores.fold((0, 0), |(named, all), score| (named + usize::from(score.named > 0), all + 1))
            };
            let (named, all) = of(None);
            let Some(figure) = limits::share(named, all) else { continue };
            self.row(0, method, "clean_names_anyone", figure);
            let of_size = |size: HomeSize| {
                let (named, all) = of(Some(size));
                let figure = limits::share(named, all)?;
                self.row(size.addresses(), method, "clean_names_anyone", figure);
                Some(format!("{} addresses: {named} of {all}, at most {}", size.addresses(), percent(figure.high)))
            };
            let sizes: Vec<String> = HomeSize::ALL.into_iter().filter_map(of_size).collect();
            self.lines.push(format!(
                "clean homes that name anyone, {}: {named} of {all}, upper limit {} ({})",
                method.as_str(),
                percent(figure.high),
                sizes.join("; ")
            ));
        }
    }

    /// Where a leak can't be excluded, the verdict `strong` is a mistake and `suspected` is not. Undecidable families
    /// do not count.
    fn discoveries(&mut self, cells: &[Cell]) {
        for method in Method::ALL {
            let sum = |part: fn(&Score) -> usize, expects: &[Expect]| -> usize {
                let cells = cells.iter().filter(|cell| expects.contains(&cell.family.expect));
                cells.flat_map(|cell| &cell.scores).map(|scores| part(&scores[method as usize])).sum()
            };
            let plain = [Expect::Rank, Expect::Nobody];
            let certain = [Expect::Rank, Expect::Nobody, Expect::NotStrong];
            let (wrong, named) = (sum(|s| s.wrong, &plain), sum(|s| s.named, &plain));
            if let Some(figure) = limits::share(wrong, named) {
                self.row(0, method, "false_discovery", figure);
                self.lines.push(format!(
                    "false discovery, {}, suspected and above: {wrong} of {named} accusations, {}",
                    method.as_str(),
                    in_percent(figure)
                ));
            }
            let (wrong, strong) = (sum(|s| s.wrong_strong, &certain), sum(|s| s.strong, &certain));
            if method == Method::Ours {
                let figure = limits::share(wrong, strong);
                let limits = figure.map_or("nobody was called so".to_owned(), in_percent);
                self.lines.push(format!("false discovery, ours, strong: {wrong} of {strong} accusations, {limits}"));
                if let Some(figure) = figure {
                    self.row(0, method, "false_discovery_strong", figure);
                }
            }
        }
    }

    fn others(&mut self, cells: &[Cell]) {
        let ours = || cells.iter().flat_map(|cell| &cell.scores).map(|scores| &scores[0]);
        let (covered, intervals) = ours().fold((0, 0), |(c, i), score| (c + score.covered, i + score.intervals));
        if let Some(figure) = limits::share(covered, intervals) {
            self.row(0, Method::Ours, "interval_coverage", figure);
            self.lines.push(format!(
                "95 % leak intervals that hold the truth: {covered} of {intervals}, {}",
                in_percent(figure)
            ));
        }
        let briers: Vec<f64> = ours().filter_map(|score| score.brier).collect();
        if let Some(figure) = limits::mean(&briers) {
            self.row(0, Method::Ours, "brier", figure);
            self.lines.push(format!("Brier score of the stated probabilities: {}", with_limits(figure)));
        }
        for cell in cells.iter().filter(|cell| cell.family.replayed) {
            for method in Method::ALL {
                let needed: Vec<usize> =
                    cell.scores.iter().filter_map(|scores| scores[method as usize].needed).collect();
                let in_time = needed.iter().filter(|&&needed| needed <= 5).count();
                if let Some(median) = median(&needed) {
                    self.lines.push(format!(
                        "first in {} at {} addresses, {}: after {median} probed addresses (median), after five in \
                         {in_time} of {} homes",
                        cell.family.name,
                        cell.size.addresses(),
                        method.as_str(),
                        needed.len()
                    ));
                }
            }
        }
    }

    fn behind(&mut self, cells: &[Cell]) {
        let mut behind = Vec::new();
        let mut not_ahead = Vec::new();
        for cell in cells {
            let at = format!("{} at {}", cell.family.name, cell.size.addresses());
            for method in [Method::Fisher, Method::DistinctCount] {
                let Some(lead) = limits::mean(&lead(&cell.scores, method)) else { continue };
                if lead.high < 0.0 {
                    behind.push(format!("{at} behind {} by {}", method.as_str(), with_limits(lead)));
                }
                let below = limits::mean(&precisions(cell, method)).is_some_and(|theirs| theirs.value < 0.95);
                if method == Method::Fisher && below && lead.low <= 0.0 {
                    not_ahead.push(format!("{at} ({})", with_limits(lead)));
                }
            }
        }
        let list = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join("; ") };
        self.lines.push(format!("families where ours is significantly behind another method: {}", list(&behind)));
        self.lines.push(format!(
            "families where Fisher's average precision is below 0.95 and ours is not significantly higher: {}",
            list(&not_ahead)
        ));
    }
}

fn precisions(cell: &Cell, method: Method) -> Vec<f64> {
    cell.scores.iter().filter_map(|scores| scores[method as usize].average_precision).collect()
}

fn median(values: &[usize]) -> Option<usize> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// A figure and its limits, as in `0.98 [0.97, 0.99]`.
#[must_use]
pub fn with_limits(figure: Figure) -> String {
    format!("{:.3} [{:.3}, {:.3}]", figure.value, figure.low, figure.high)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn in_percent(figure: Figure) -> String {
    format!("{} [{}, {}]", percent(figure.value), percent(figure.low), percent(figure.high))
}
