//! How far files were imported. They are of this machine's files, so no export has them; and a file whose
//! position is lost is read again and merged, so that they may go at any time.

use rusqlite::{Connection, params};
use tattler_core::time::Time;
use tattler_files::Position;

use super::Store;
use super::replay::ReplayError;

/// Files that are remembered; the latest are.
const MOST: u32 = 10_000;

impl Store {
    /// How far files were imported before.
    pub fn positions(&self) -> Result<Vec<Position>, ReplayError> {
        read(&self.connection).map_err(|error| ReplayError::new(&self.path, error))
    }
}

/// Sets positions, also back: who begins a file anew and is interrupted goes on from there. A beginning
/// is none.
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

/// Forgets what is older than `since`, and what is too much.
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
