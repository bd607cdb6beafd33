//! The tables, and the migration of older databases.

use rusqlite::{Connection, TransactionBehavior};

/// The entry with index N migrates a database from version N to version N + 1. Released entries never change; a change
/// of the tables needs a new entry.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// The current schema version.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Migrates an older database to [`VERSION`] in one transaction. No copy of the old database is kept, because retention
/// and `forget` would not apply to the copy.
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
        // Version 1 did not overwrite deleted rows.
        transaction.execute("INSERT INTO meta (key, value) VALUES ('traces', x'')", [])?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
