//! Acknowledged remotes.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use rusqlite::{Connection, Row, params};
use tattler_core::ack::Ack;
use tattler_core::time::Time;

use super::replay::ReplayError;
use super::{Store, WriteError};

impl Store {
    /// Acknowledges a remote. The acknowledgement replaces an earlier acknowledgement of exactly the same prefix.
    pub fn acknowledge(&mut self, ack: &Ack) -> Result<(), WriteError> {
        write(&self.connection, ack).map_err(|error| WriteError::new(&self.path, error))?;
        self.keep_acks();
        Ok(())
    }

    /// Removes an acknowledgement. Returns whether the acknowledgement existed.
    pub fn unacknowledge(&mut self, remote: Ipv6Net) -> Result<bool, WriteError> {
        let remote = remote.trunc();
        let deleted = self.connection.execute(
            "DELETE FROM acks WHERE remote = ?1 AND length = ?2",
            params![remote.addr().octets(), remote.prefix_len()],
        );
        let deleted = deleted.map(|rows| rows > 0).map_err(|error| WriteError::new(&self.path, error))?;
        self.keep_acks();
        Ok(deleted)
    }

    /// Copies the acknowledgements to memory, so that they are not lost if the database is damaged.
    pub(super) fn keep_acks(&mut self) {
        if let Ok(acks) = read(&self.connection) {
            self.kept.acks = acks;
        }
    }

    /// All acknowledgements in order of addresses, including expired acknowledgements.
    pub fn acks(&self) -> Result<Vec<Ack>, ReplayError> {
        read(&self.connection).map_err(|error| ReplayError::new(&self.path, error))
    }
}

pub(super) fn write(connection: &Connection, ack: &Ack) -> rusqlite::Result<()> {
    let remote = ack.remote.trunc();
    connection
        .prepare_cached("INSERT OR REPLACE INTO acks (remote, length, at, until, note) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            remote.addr().octets(),
            remote.prefix_len(),
            ack.at.0,
            ack.until.map(|time| time.0),
            ack.note,
        ])?;
    Ok(())
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Ack>> {
    let mut statement =
        connection.prepare("SELECT remote, length, at, until, note FROM acks ORDER BY remote, length")?;
    statement.query_map([], ack)?.collect()
}

fn ack(row: &Row<'_>) -> rusqlite::Result<Ack> {
    let length: u8 = row.get(1)?;
    let remote = Ipv6Net::new(Ipv6Addr::from(row.get::<_, [u8; 16]>(0)?), length)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, length.into()))?;
    Ok(Ack { remote, at: Time(row.get(2)?), until: row.get::<_, Option<i64>>(3)?.map(Time), note: row.get(4)? })
}
