//! In: observations become rows.

use rusqlite::{Connection, params};

use super::{Store, WriteError, marks};
use crate::mark::Mark;
use crate::observation::{Answer, Contact, Observation, Probe};

impl Store {
    /// Writes all of them in one transaction, or none.
    pub fn append(&mut self, observations: &[Observation]) -> Result<(), WriteError> {
        self.append_up_to(observations, None)
    }

    /// The same, with the mark up to which the ring is in the store by that.
    pub fn append_up_to(&mut self, observations: &[Observation], mark: Option<&Mark>) -> Result<(), WriteError> {
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            observations.iter().try_for_each(|observation| write(&transaction, observation, Counting::Add))?;
            if let Some(mark) = mark {
                marks::write(&transaction, mark)?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|error| WriteError::new(&self.path, error))
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

/// Writes one observation into a transaction.
pub(super) fn write(connection: &Connection, observation: &Observation, counting: Counting) -> rusqlite::Result<()> {
    match observation {
        Observation::Contact(contact) => write_contact(connection, contact, counting),
        Observation::Probe(probe) => write_probe(connection, probe, counting),
        Observation::Answer(answer) => write_answer(connection, answer),
    }
}

/// Of what a contact says beyond its times, the latest word counts; silence is no word.
fn write_contact(connection: &Connection, contact: &Contact, counting: Counting) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO contacts (local, remote, proto, port, first, last, count, local_port, name, device)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET
            count = iif(?11 OR excluded.first > last OR excluded.last < first,
                        count + excluded.count, max(count, excluded.count)),
            first = min(first, excluded.first),
            last = max(last, excluded.last),
            local_port = iif(excluded.last >= last, ifnull(excluded.local_port, local_port),
                                                    ifnull(local_port, excluded.local_port)),
            name = iif(excluded.last >= last, ifnull(excluded.name, name), ifnull(name, excluded.name)),
            device = iif(excluded.last >= last, ifnull(excluded.device, device), ifnull(device, excluded.device))",
    )?;
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
        counting == Counting::Add,
    ])?;
    Ok(())
}

/// The settled word counts, and the first one on what it looked like.
fn write_probe(connection: &Connection, probe: &Probe, counting: Counting) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO probes (ts, source, target, kind, port, count, contacted_source, answered, settling, hop_limit,
                             source_port, icmp_id, icmp_seq, payload_len, payload_hash, window, tcp_options,
                             tcp_flags, flow_label, device)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
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
        counting == Counting::Add,
    ])?;
    Ok(())
}

fn write_answer(connection: &Connection, answer: &Answer) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR IGNORE INTO answers (ts, source, target, kind, port) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![
        answer.ts.0,
        answer.source.octets(),
        answer.target.octets(),
        answer.kind as u8,
        answer.port,
    ])?;
    Ok(())
}
