//! Suspects as CSV: a header, then a line for each. Lists are joined by spaces.

use std::io::{self, Write};

use serde::Serialize;

use super::{Candidate, Report};

/// A line. Its fields are the columns.
#[derive(Default, Serialize)]
struct Line<'r> {
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
    label: Option<&'r str>,
    evidence: Option<f64>,
    rivals: String,
}

impl<'r> Line<'r> {
    fn new(c: &'r Candidate) -> Line<'r> {
        Line {
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
            label: c.label.as_deref(),
            evidence: c.evidence,
            rivals: c.rivals.iter().map(|rival| rival.as_str()).collect::<Vec<_>>().join(" "),
        }
    }
}

/// Writes the candidates of a report.
///
/// # Errors
/// Errors of the output.
pub fn suspects_csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.candidates.is_empty() {
        // csv writes the header with the first line, so write a line and keep the header.
        let mut header = csv::Writer::from_writer(Vec::new());
        header.serialize(Line::default())?;
        let header = header.into_inner().map_err(|error| error.into_error())?;
        return out.write_all(header.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default());
    }
    let mut writer = csv::Writer::from_writer(out);
    report.candidates.iter().try_for_each(|candidate| writer.serialize(Line::new(candidate)))?;
    writer.flush()
}
