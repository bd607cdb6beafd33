//! Writes observations as rows.

use rusqlite::{Connection, params};
use tattler_core::observation::{Answer, Contact, Observation, Probe};
use tattler_core::time::Span;

use super::{Store, WriteError, boot, positions, worths};
use crate::mark::Mark;

impl Store {
    /// Writes all observations in one transaction. After an error, no observation is written. The rows belong to the
    /// boot set by [`Store::begin_boot`].
    pub fn append(&mut self, observations: &[Observation]) -> Result<(), WriteError> {
        self.append_after(Span(0), observations, None).map(drop)
    }

    /// In one transaction: moves the dates of this boot's rows by `step`, writes observations that already have the new
    /// dates, and sets the mark up to which the ring is stored. Returns the number of rows whose dates changed.
    pub fn append_after(
        &mut self,
        step: Span,
        observations: &[Observation],
        mark: Option<&Mark>,
    ) -> Result<u64, WriteError> {
        let (boot, cap) = (self.boot, &mut self.cap);
        let left_out = cap.as_mut().map_or(0, worths::Cap::begin);
        let mut write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let rows = match boot {
                Some(boot) if step != Span(0) => boot::redate(&transaction, boot, step)?,
                _ => 0,
            };
            let from = boot.map_or(Provenance::UnknownBoot, |boot| Provenance::Boot(boot.number));
            for observation in observations {
                if cap.as_mut().map_or(Ok(true), |cap| cap.takes(&transaction, observation))? {
                    write(&transaction, observation, from)?;
                }
            }
            if let Some(mark) = mark {
                positions::write_mark(&transaction, mark)?;
            }
            transaction.commit().map(|()| rows)
        };
        let rows = write(&mut self.connection).map_err(|error| {
            self.cap.iter_mut().for_each(|cap| cap.undo(left_out));
            WriteError::new(&self.path, error)
        })?;
        if let Some(boot) = &mut self.boot {
            boot.origin = boot.origin + step;
        }
        Ok(rows)
    }
}

/// The source of observations. The source decides whether a step of the clock moves the dates of the rows, and how
/// counts of equal rows are combined.
#[derive(Clone, Copy, Debug)]
pub(super) enum Provenance {
    /// The sensor, in the boot of this number. A step moves the dates of the rows. Each event arrives once, so counts
    /// are added.
    Boot(i64),
    /// The sensor, in a boot that could not be stored: dates are final, counts are added.
    UnknownBoot,
    /// A file, which may be imported again: dates are final. Counts of contacts are added only if the times of the
    /// contacts do not overlap; otherwise the larger count stays. So a sum may be too low, but never too high.
    Import,
}

impl Provenance {
    fn boot(self) -> i64 {
        if let Provenance::Boot(number) = self { number } else { 0 }
    }

    fn adds(self) -> bool {
        !matches!(self, Provenance::Import)
    }
}

/// Writes one observation into a transaction.
pub(super) fn write(connection: &Connection, observation: &Observation, from: Provenance) -> rusqlite::Result<()> {
    match observation {
        Observation::Contact(contact) => write_contact(connection, contact, from),
        Observation::Probe(probe) => write_probe(connection, probe, from),
        Observation::Answer(answer) => write_answer(connection, answer, from),
    }
}

/// For each of the columns `local_port`, `name` and `device`, the latest value that is not null stays.
const FINAL_CONTACT: &str =
    "INSERT INTO contacts (local, remote, proto, port, old_first, old_last, old_count, local_port, name, device)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
     ON CONFLICT DO UPDATE SET
        old_count = iif(?11 OR excluded.old_first > last OR excluded.old_last < first,
                        ifnull(old_count, 0) + excluded.old_count,
                        max(ifnull(old_count, 0), excluded.old_count - ifnull(new_count, 0))),
        old_first = min(ifnull(old_first, excluded.old_first), excluded.old_first),
        old_last = max(ifnull(old_last, excluded.old_last), excluded.old_last),
        local_port = iif(excluded.old_last >= last, ifnull(excluded.local_port, local_port),
                                                    ifnull(local_port, excluded.local_port)),
        name = iif(excluded.old_last >= last, ifnull(excluded.name, name), ifnull(name, excluded.name)),
        device = iif(excluded.old_last >= last, ifnull(excluded.device, device), ifnull(device, excluded.device))";

/// Observations of this boot are later than observations of earlier boots, regardless of the dates.
const CONTACT_OF_THIS_BOOT: &str =
    "INSERT INTO contacts (local, remote, proto, port, new_first, new_last, new_count, local_port, name, device)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
     ON CONFLICT DO UPDATE SET
        new_count = ifnull(new_count, 0) + excluded.new_count,
        new_first = min(ifnull(new_first, excluded.new_first), excluded.new_first),
        new_last = max(ifnull(new_last, excluded.new_last), excluded.new_last),
        local_port = iif(ifnull(excluded.new_last >= new_last, ?11), ifnull(excluded.local_port, local_port),
                                                                    ifnull(local_port, excluded.local_port)),
        name = iif(ifnull(excluded.new_last >= new_last, ?11), ifnull(excluded.name, name),
                                                              ifnull(name, excluded.name)),
        device = iif(ifnull(excluded.new_last >= new_last, ?11), ifnull(excluded.device, device),
                                                                ifnull(device, excluded.device))";

fn write_contact(connection: &Connection, contact: &Contact, from: Provenance) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(match from {
        Provenance::Boot(_) => CONTACT_OF_THIS_BOOT,
        Provenance::UnknownBoot | Provenance::Import => FINAL_CONTACT,
    })?;
    statement.execute(params![
        contact.local.octets(),
        contact.remote.octets(),
        contact.proto as u8,
        contact.port,
        contact.ts.0,
        contact.last.0,
        contact.count,
        contact.local_port,
        contact.name,
        contact.device,
        from.adds(),
    ])?;
    Ok(())
}

/// If the database already contains the probe, `settling` stays set only if the old and the new probe have the flag,
/// and the traits of the old probe stay.
fn write_probe(connection: &Connection, probe: &Probe, from: Provenance) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO probes (ts, source, target, kind, port, count, contacted_source, answered, settling, hop_limit,
                             source_port, icmp_id, icmp_seq, payload_len, payload_hash, window, tcp_options,
                             tcp_flags, flow_label, device, boot)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?22)
         ON CONFLICT DO UPDATE SET
            count = iif(?21, min(count + excluded.count, 4294967295), max(count, excluded.count)),
            contacted_source = max(contacted_source, excluded.contacted_source),
            answered = max(answered, excluded.answered),
            settling = min(settling, excluded.settling),
            device = ifnull(device, excluded.device)",
    )?;
    let traits = &probe.traits;
    statement.execute(params![
        probe.ts.0,
        probe.source.octets(),
        probe.target.octets(),
        probe.kind as u8,
        probe.port,
        probe.count,
        probe.contacted_source,
        probe.answered,
        probe.settling,
        traits.hop_limit,
        traits.source_port,
        traits.icmp_id,
        traits.icmp_seq,
        traits.payload_len,
        traits.payload_hash,
        traits.window,
        traits.tcp_options,
        traits.tcp_flags,
        traits.flow_label,
        probe.device,
        from.adds(),
        from.boot(),
    ])?;
    Ok(())
}

fn write_answer(connection: &Connection, answer: &Answer, from: Provenance) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO answers (ts, source, target, kind, port, boot) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        answer.ts.0,
        answer.source.octets(),
        answer.target.octets(),
        answer.kind as u8,
        answer.port,
        from.boot(),
    ])?;
    Ok(())
}
