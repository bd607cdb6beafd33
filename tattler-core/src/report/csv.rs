//! Suspects as CSV: a line of names, then a line for each. Lists are joined by spaces.

use std::io::{self, Write};

use serde::Serialize;

use super::Report;

/// The candidates of a report.
///
/// # Errors
/// Those of the output.
pub fn suspects_csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line {
        rank: u64,
        verdict: &'static str,
        members: String,
        prefix: String,
        score: Option<f64>,
        probability: Option<f64>,
        leak_probability: Option<f64>,
        leak_low_95: Option<f64>,
        leak_high_95: Option<f64>,
        explained_probes: u64,
        explained_locals: u64,
        devices: Option<u64>,
        contacted: u64,
        contacted_probed: u64,
        fisher_p: Option<f64>,
        distinct_count: u64,
        median_lag_seconds: Option<f64>,
        campaigns: String,
        label: Option<String>,
        evidence: Option<f64>,
        rivals: String,
    }
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    writer.write_record([
        "rank",
        "verdict",
        "members",
        "prefix",
        "score",
        "probability",
        "leak_probability",
        "leak_low_95",
        "leak_high_95",
        "explained_probes",
        "explained_locals",
        "devices",
        "contacted",
        "contacted_probed",
        "fisher_p",
        "distinct_count",
        "median_lag_seconds",
        "campaigns",
        "label",
        "evidence",
        "rivals",
    ])?;
    for c in &report.candidates {
        writer.serialize(Line {
            rank: c.rank,
            verdict: c.verdict.as_str(),
            members: c.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            prefix: c.prefix.to_string(),
            score: c.score,
            probability: c.probability,
            leak_probability: c.leak_probability,
            leak_low_95: c.leak_interval_95.map(|interval| interval[0]),
            leak_high_95: c.leak_interval_95.map(|interval| interval[1]),
            explained_probes: c.explained_probes,
            explained_locals: c.explained_locals,
            devices: c.devices,
            contacted: c.contacted,
            contacted_probed: c.contacted_probed,
            fisher_p: c.fisher_p,
            distinct_count: c.distinct_count,
            median_lag_seconds: c.median_lag_seconds,
            campaigns: c.campaigns.join(" "),
            label: c.label.clone(),
            evidence: c.evidence,
            rivals: c.rivals.iter().map(|rival| rival.as_str()).collect::<Vec<_>>().join(" "),
        })?;
    }
    writer.flush()
}
