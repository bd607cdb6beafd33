//! Suspects as CSV: a header, then a line for each suspect. Items of a list are joined by spaces.

use std::io::{self, Write};

use super::{Candidate, Report};

const COLUMNS: &str = "rank verdict members prefix score probability leak_probability leak_low_95 leak_high_95 \
                       explained_probes explained_locals devices contacted contacted_probed fisher_p distinct_count \
                       median_lag_seconds campaigns label evidence rivals";

/// Writes the candidates of a report.
///
/// # Errors
/// Errors of the output.
pub fn suspects_csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS.split(' '))?;
    let joined = |words: Vec<String>| words.join(" ");
    for c in &report.candidates {
        let Candidate { rank, score, probability, leak_probability, explained_probes, explained_locals, .. } = *c;
        let Candidate { devices, contacted, contacted_probed, fisher_p, distinct_count, median_lag_seconds, .. } = *c;
        let members = joined(c.members.iter().map(ToString::to_string).collect());
        let rivals = joined(c.rivals.iter().map(|rival| rival.as_str().to_owned()).collect());
        let interval = c.leak_interval_95.map_or([None; 2], |ends| ends.map(Some));
        // A list is one field: CSV has no nesting.
        writer.serialize((
            (rank, c.verdict.as_str(), members, c.prefix.to_string(), score, probability, leak_probability, interval),
            (explained_probes, explained_locals, devices, contacted, contacted_probed, fisher_p, distinct_count),
            (median_lag_seconds, c.campaigns.join(" "), c.label.as_deref(), c.evidence, rivals),
        ))?;
    }
    writer.flush()
}
