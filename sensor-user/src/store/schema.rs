//! The tables, and how an older file becomes a newer one.

use rusqlite::{Connection, TransactionBehavior};

/// Each entry leads from the version of its index to the next one. What is released stays as it
/// is; a change of the tables is a new entry.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// The version that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a file of an older version up to [`VERSION`], whole or not at all. So there is no copy of
/// the older one: it would be a second diary, which nothing prunes and `forget` does not reach.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let from = version(connection)?;
    if from >= VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in &MIGRATIONS[from.max(0) as usize..] {
        transaction.execute_batch(migration)?;
    }
    if from == 1 {
        // It did not overwrite what it deleted.
        transaction.execute("INSERT INTO meta (key, value) VALUES ('traces', x'')", [])?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
