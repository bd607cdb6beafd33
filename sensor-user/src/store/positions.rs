//! The positions in imported files and in the sensor's ring up to which observations are stored. Exports do not contain
//! the positions, because they refer to files and to the kernel of this machine. If the position of a file is lost, the
//! next import reads the file again and merges the rows.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tattler_core::time::Time;
use tattler_files::Position;

use super::Store;
use super::replay::ReplayError;
use crate::mark::Mark;

/// Maximum number of files whose positions are kept. The latest positions are kept.
const MOST: u32 = 10_000;

impl Store {
    /// The positions up to which files have been imported.
    pub fn positions(&self) -> Result<Vec<Position>, ReplayError> {
        read(&self.connection).map_err(|error| ReplayError::new(&self.path, error))
    }

    /// The mark up to which the ring is stored.
    pub fn mark(&self) -> Result<Option<Mark>, ReplayError> {
        read_mark(&self.connection).map_err(|error| ReplayError::new(&self.path, error))
    }
}

/// Sets positions. A position may move back, when a file is imported again from its start. Position 0 is not stored.
pub(super) fn write(connection: &Connection, positions: &[Position], at: Time) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO positions (head_length, head_hash, items, at) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut begin = connection.prepare_cached("DELETE FROM positions WHERE head_length = ?1 AND head_hash = ?2")?;
    for position in positions {
        // SQLite has no unsigned numbers.
        let (hash, items) = (position.head_hash.cast_signed(), position.items.cast_signed());
        if items == 0 {
            begin.execute(params![position.head_length, hash])?;
        } else {
            statement.execute(params![position.head_length, hash, items, at.0])?;
        }
    }
    Ok(())
}

/// Deletes positions that are older than `since`. If more than [`MOST`] positions are left, also deletes the oldest.
pub(super) fn prune(connection: &Connection, since: Time) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM positions WHERE at < ?1", [since.0])?;
    connection.execute(
        "DELETE FROM positions WHERE (head_length, head_hash) IN
            (SELECT head_length, head_hash FROM positions ORDER BY at DESC LIMIT -1 OFFSET ?1)",
        [MOST],
    )?;
    Ok(())
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<Position>> {
    let mut statement = connection.prepare("SELECT head_length, head_hash, items FROM positions")?;
    let rows = statement.query_map([], |row| {
        let (hash, items): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(Position { head_length: row.get(0)?, head_hash: hash.cast_unsigned(), items: items.cast_unsigned() })
    })?;
    rows.collect()
}

/// Sets the mark. The caller must use the same transaction for the mark and for the observations before the mark.
pub(super) fn write_mark(connection: &Connection, mark: &Mark) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO mark (only, boot, ring, position, since) VALUES (1, ?1, ?2, ?3, ?4)")?;
    let (position, since) = (mark.position.cast_signed(), mark.since.cast_signed());
    statement.execute(params![mark.boot.to_be_bytes(), mark.ring, position, since])?;
    Ok(())
}

fn read_mark(connection: &Connection) -> rusqlite::Result<Option<Mark>> {
    let decode = |row: &Row<'_>| {
        let (position, since): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok(Mark {
            boot: u128::from_be_bytes(row.get(0)?),
            ring: row.get(1)?,
            position: position.cast_unsigned(),
            since: since.cast_unsigned(),
        })
    };
    connection.query_row("SELECT boot, ring, position, since FROM mark", [], decode).optional()
}
