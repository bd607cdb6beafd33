//! In: observations become rows.

use rusqlite::{Connection, Transaction, params};

use super::{Store, WriteError};
use crate::observation::{Answer, Contact, Observation, Probe};

impl Store {
    /// Writes all of them in one transaction, or none.
    pub fn append(&mut self, observations: &[Observation]) -> Result<(), WriteError> {
        write(&mut self.connection, observations).map_err(|error| WriteError::new(&self.path, error))
    }
}

fn write(connection: &mut Connection, observations: &[Observation]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for observation in observations {
        match observation {
            Observation::Contact(contact) => write_contact(&transaction, contact)?,
            Observation::Probe(probe) => write_probe(&transaction, probe)?,
            Observation::Answer(answer) => write_answer(&transaction, answer)?,
        }
    }
    transaction.commit()
}

/// Of what a contact says beyond its times, the latest word counts; silence is no word.
fn write_contact(transaction: &Transaction<'_>, contact: &Contact) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO contacts (local, remote, proto, port, first, last, count, local_port, name, device)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET
            first = min(first, excluded.first),
            last = max(last, excluded.last),
            count = count + excluded.count,
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
    ])?;
    Ok(())
}

fn write_probe(transaction: &Transaction<'_>, probe: &Probe) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO probes (ts, source, target, kind, port, count, contacted_source, answered, settling, hop_limit,
                             source_port, icmp_id, icmp_seq, payload_len, payload_hash, window, tcp_options,
                             tcp_flags, flow_label, device)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
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
    ])?;
    Ok(())
}

fn write_answer(transaction: &Transaction<'_>, answer: &Answer) -> rusqlite::Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO answers (ts, source, target, kind, port) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![
        answer.ts.0,
        answer.source.octets(),
        answer.target.octets(),
        answer.kind as u8,
        answer.port,
    ])?;
    Ok(())
}
