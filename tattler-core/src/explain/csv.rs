//! Evidence as CSV: a header, then a line for each pair of a visit and a probe.

use std::io::{self, Write};

use super::Explanation;

const COLUMNS: &str = "contact local device device_name class proto port probe lag_seconds source kind probe_port count \
                       campaign evidence contacted_source counts path_probe";

/// Writes the visits of an explanation, a line for each probe that followed. A visit that no probe
/// followed has one line.
///
/// # Errors
/// Errors of the output.
pub fn explanation_csv(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS.split(' '))?;
    for visit in &explanation.visits {
        let begin = [
            visit.ts.to_string(),
            visit.local.to_string(),
            visit.device.clone().unwrap_or_default(),
            visit.device_name.clone().unwrap_or_default(),
            visit.class.clone(),
            visit.proto.clone(),
            visit.port.to_string(),
        ];
        if visit.probes.is_empty() {
            writer.write_record(begin.iter().map(String::as_str).chain([""; 11]))?;
        }
        for probe in &visit.probes {
            let probe = [
                probe.ts.to_string(),
                probe.lag_seconds.to_string(),
                probe.source.to_string(),
                probe.kind.clone(),
                probe.port.to_string(),
                probe.count.to_string(),
                probe.campaign.clone(),
                probe.evidence.clone(),
                probe.contacted_source.to_string(),
                probe.counts.to_string(),
                probe.path_probe.to_string(),
            ];
            writer.write_record(begin.iter().chain(&probe))?;
        }
    }
    writer.flush()
}
