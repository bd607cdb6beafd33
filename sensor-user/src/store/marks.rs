//! How far the ring was brought here. It is of this machine's kernel, so no export has it.

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::replay::ReplayError;
use crate::mark::Mark;

impl Store {
    /// The mark that the latest life of the sensor left.
    pub fn mark(&self) -> Result<Option<Mark>, ReplayError> {
        read(&self.connection).map_err(|error| ReplayError::new(&self.path, error))
    }
}

/// Sets the mark, within the transaction of what it is a mark for.
pub(super) fn write(connection: &Connection, mark: &Mark) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO mark (only, boot, ring, position, since) VALUES (1, ?1, ?2, ?3, ?4)")?;
    // SQLite has no unsigned numbers.
    let (position, since) = (mark.position.cast_signed(), mark.since.cast_signed());
    statement.execute(params![mark.boot.to_be_bytes(), mark.ring, position, since])?;
    Ok(())
}

fn read(connection: &Connection) -> rusqlite::Result<Option<Mark>> {
    let row = |row: &rusqlite::Row<'_>| {
        let (position, since): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok(Mark {
            boot: u128::from_be_bytes(row.get(0)?),
            ring: row.get(1)?,
            position: position.cast_unsigned(),
            since: since.cast_unsigned(),
        })
    };
    connection.query_row("SELECT boot, ring, position, since FROM mark", [], row).optional()
}

#[cfg(test)]
mod tests {
    use tattler_core::time::Span;

    use super::*;
    use crate::store::tests::probe_at;

    #[test]
    fn the_mark_is_written_with_what_it_marks_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.mark().unwrap(), None);
        let mark = Mark { boot: 1 << 100, ring: u32::MAX, position: u64::MAX - 7, since: 9 };
        store.append_after(Span(0), &[probe_at(1)], Some(&mark)).unwrap();
        assert_eq!(store.mark().unwrap(), Some(mark));
        store
            .connection
            .execute_batch("CREATE TRIGGER no BEFORE INSERT ON probes BEGIN SELECT RAISE(FAIL, 'no'); END")
            .unwrap();
        let later = Mark { position: 1, ..mark };
        store.append_after(Span(0), &[probe_at(2)], Some(&later)).unwrap_err();
        assert_eq!(store.mark().unwrap(), Some(mark));
        // Without observations too.
        store.append_after(Span(0), &[], Some(&later)).unwrap();
        drop(store);
        assert_eq!(Store::open(dir.path()).unwrap().mark().unwrap(), Some(later));
    }
}
