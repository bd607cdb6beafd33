//! In: observations become rows.

use rusqlite::{Connection, params};
use tattler_core::observation::{Answer, Contact, Observation, Probe};
use tattler_core::time::Span;

use super::{Store, WriteError, boot, marks};
use crate::mark::Mark;

impl Store {
    /// Writes all of them in one transaction, or none. They are of the boot that
    /// [has begun](Store::begin_boot), if one has.
    pub fn append(&mut self, observations: &[Observation]) -> Result<(), WriteError> {
        self.append_after(Span(0), observations, None).map(drop)
    }

    /// Dates what is there of this boot anew by `step`, and writes observations that are dated so
    /// already, with the mark up to which the ring is in the store by that; all in one transaction. Says
    /// how many rows were dated anew.
    pub fn append_after(
        &mut self,
        step: Span,
        observations: &[Observation],
        mark: Option<&Mark>,
    ) -> Result<u64, WriteError> {
        let boot = self.boot;
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let rows = match boot {
                Some(boot) if step != Span(0) => boot::redate(&transaction, boot, step)?,
                _ => 0,
            };
            let part = boot.map_or(Part::Settled(Counting::Add), |boot| Part::Boot(boot.number));
            observations.iter().try_for_each(|observation| write(&transaction, observation, part))?;
            if let Some(mark) = mark {
                marks::write(&transaction, mark)?;
            }
            transaction.commit().map(|()| rows)
        };
        let rows = write(&mut self.connection).map_err(|error| WriteError::new(&self.path, error))?;
        if let Some(boot) = &mut self.boot {
            boot.origin = boot.origin + step;
        }
        Ok(rows)
    }
}

/// What becomes of the counts of two rows that are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// They add up: each event is told once.
    Add,
    /// What was told of the same time may have been told before: the larger count stays, and only
    /// contacts of different times add up. A sum is then too low at worst, whatever is imported
    /// twice.
    Once,
}

/// What observations become part of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// What is dated once and for all.
    Settled(Counting),
    /// The present boot, by its number: dated anew when the clock is set. Each event is told once.
    Boot(i64),
}

impl Part {
    fn boot(self) -> i64 {
        if let Part::Boot(number) = self { number } else { 0 }
    }

    fn adds(self) -> bool {
        !matches!(self, Part::Settled(Counting::Once))
    }
}

/// Writes one observation into a transaction.
pub(super) fn write(connection: &Connection, observation: &Observation, part: Part) -> rusqlite::Result<()> {
    match observation {
        Observation::Contact(contact) => write_contact(connection, contact, part),
        Observation::Probe(probe) => write_probe(connection, probe, part),
        Observation::Answer(answer) => write_answer(connection, answer, part),
    }
}

/// Of what a contact says beyond its times, the latest word counts; silence is no word.
const SETTLED_CONTACT: &str =
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

/// What is told in this boot is later than what was told before, whatever the dates say; counts of
/// it always add up.
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

fn write_contact(connection: &Connection, contact: &Contact, part: Part) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(match part {
        Part::Settled(_) => SETTLED_CONTACT,
        Part::Boot(_) => CONTACT_OF_THIS_BOOT,
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
        part.adds(),
    ])?;
    Ok(())
}

/// The settled word counts, and the first one on what it looked like.
fn write_probe(connection: &Connection, probe: &Probe, part: Part) -> rusqlite::Result<()> {
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
        part.adds(),
        part.boot(),
    ])?;
    Ok(())
}

fn write_answer(connection: &Connection, answer: &Answer, part: Part) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO answers (ts, source, target, kind, port, boot) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        answer.ts.0,
        answer.source.octets(),
        answer.target.octets(),
        answer.kind as u8,
        answer.port,
        part.boot(),
    ])?;
    Ok(())
}
