//! Makes room: if the database is too large, the rows of least worth are deleted first.
//!
//! Probes of unused addresses are deleted first, then repeats ([`Worth`]). Within each group, the oldest rows are
//! deleted first. If the database is still too large, contacts and evidence are deleted, from the table that is
//! furthest above its share. So no table can displace another table.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv6Addr;

use rusqlite::{Connection, params};
use sensor_common::Kind;
use tattler_core::ledger::worth::Worth;
use tattler_core::observation::Answer;
use tattler_core::time::Time;

use super::worths::Worths;
use super::{Store, WriteError, prune, replay};

/// The first steps: table, and highest worth of the rows to delete. After these steps, only contacts and evidence are
/// left.
const STEPS: [(Table, Worth); 3] =
    [(Table::Probes, Worth::Sweep), (Table::Probes, Worth::Repeat), (Table::Answers, Worth::Repeat)];

/// Bytes per row, divided by the share of the table in sixteenths, for contacts, probes and answers. The shares are a
/// half, three eighths and an eighth.
const SHARES: [u64; 3] = [240 / 8, 150 / 6, 80 / 2];

const OLDEST_CONTACTS: &str = "DELETE FROM contacts WHERE (local, remote, proto, port) IN
    (SELECT local, remote, proto, port FROM contacts WHERE local = ?1 ORDER BY last LIMIT ?2)";
const OLDEST_PROBES: &str = "DELETE FROM probes WHERE (ts, source, target, kind, port) IN
    (SELECT ts, source, target, kind, port FROM probes ORDER BY ts LIMIT ?1)";
const OLDEST_ANSWERS: &str = "DELETE FROM answers WHERE (ts, source, target, kind, port) IN
    (SELECT ts, source, target, kind, port FROM answers ORDER BY ts LIMIT ?1)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Probes,
    Answers,
}

/// The key of an event: time, source, target, kind and port.
type Key = (i64, Ipv6Addr, Ipv6Addr, Kind, u16);

/// The state of the deletion, between two calls of [`Store::shrink_some`].
#[derive(Default)]
pub(super) struct Shrinking {
    step: usize,
    /// The last row that was ranked.
    after: Option<Key>,
    worths: Worths,
    left: Option<Left>,
}

/// The rows that are left after [`STEPS`]: contacts and evidence.
struct Left {
    /// Number of contacts, of probes and of answers.
    counts: [u64; 3],
    /// Locals with the number of their contacts, the largest number first. Locals with equal numbers: the least
    /// recently used local first.
    locals: BinaryHeap<(u64, Reverse<i64>, [u8; 16])>,
}

impl Store {
    /// If the rows use more than `most` bytes, deletes rows until a sixteenth of `most` is free, so that the next rows
    /// fit. One call handles `rows` rows, so that the writer can continue with its queue. Returns the number of deleted
    /// rows, or `None` if no more rows must be deleted.
    pub fn shrink_some(&mut self, most: u64, rows: u32) -> Result<Option<u64>, WriteError> {
        let used = self.used()?;
        let mut shrinking = match self.shrinking.take() {
            None if used <= most => return Ok(None),
            Some(_) if used <= most - most / 16 => return Ok(None),
            shrinking => shrinking.unwrap_or_default(),
        };
        let deleted = shrink(&mut self.connection, &mut shrinking, rows);
        let deleted = deleted.map_err(|error| WriteError::new(&self.path, error))?;
        self.shrinking = deleted.is_some().then_some(shrinking);
        Ok(deleted)
    }
}

fn shrink(connection: &mut Connection, shrinking: &mut Shrinking, rows: u32) -> rusqlite::Result<Option<u64>> {
    let transaction = connection.transaction()?;
    let deleted = match STEPS.get(shrinking.step) {
        Some(&(table, worth)) => Some(shrinking.look(&transaction, table, worth, rows)?),
        None => shrinking.oldest(&transaction, rows)?,
    };
    transaction.commit()?;
    prune::give_back(connection)?;
    Ok(deleted)
}

impl Shrinking {
    /// Ranks the next rows of a table and deletes the rows whose worth is at most `worth`.
    fn look(&mut self, connection: &Connection, table: Table, worth: Worth, rows: u32) -> rusqlite::Result<u64> {
        let found = next(connection, table, self.after, rows)?;
        self.worths.look_again();
        let name = if table == Table::Probes { "probes" } else { "answers" };
        let mut delete = connection.prepare_cached(&format!(
            "DELETE FROM {name} WHERE ts = ?1 AND source = ?2 AND target = ?3 AND kind = ?4 AND port = ?5"
        ))?;
        let mut deleted = 0;
        for &((ts, source, target, kind, port), proves) in &found {
            let sight = (Time(ts), source, target, kind);
            let of = match table {
                Table::Probes => self.worths.probe(connection, sight, proves)?,
                Table::Answers => self.worths.answer(sight),
            };
            if of <= worth {
                deleted += delete.execute(params![ts, source.octets(), target.octets(), kind as u8, port])? as u64;
            }
        }
        self.after = found.last().map(|row| row.0);
        if found.len() < rows as usize {
            *self = Shrinking { step: self.step + 1, ..Shrinking::default() };
        }
        Ok(deleted)
    }

    /// Deletes the oldest rows of the table that is furthest above its share. Returns `None` if all tables are empty.
    fn oldest(&mut self, connection: &Connection, rows: u32) -> rusqlite::Result<Option<u64>> {
        let left = match self.left.take() {
            Some(left) => self.left.insert(left),
            None => self.left.insert(Left::count(connection)?),
        };
        let most = left.counts.iter().zip(SHARES).map(|(count, bytes)| count * bytes).enumerate();
        let Some((table, _)) = most.max_by_key(|&(_, bytes)| bytes).filter(|&(_, bytes)| bytes > 0) else {
            return Ok(None);
        };
        let deleted = match table {
            0 => left.contacts(connection, rows)?,
            1 => connection.prepare_cached(OLDEST_PROBES)?.execute([rows])? as u64,
            _ => connection.prepare_cached(OLDEST_ANSWERS)?.execute([rows])? as u64,
        };
        // If this table is empty, another table may still have rows.
        left.counts[table] = if deleted == 0 { 0 } else { left.counts[table].saturating_sub(deleted) };
        Ok(Some(deleted))
    }
}

impl Left {
    fn count(connection: &Connection) -> rusqlite::Result<Left> {
        let mut statement = connection.prepare("SELECT count(*), max(last), local FROM contacts GROUP BY local")?;
        let locals = statement
            .query_map([], |row| Ok((row.get::<_, i64>(0)?.max(0) as u64, Reverse(row.get(1)?), row.get(2)?)))?;
        let locals: BinaryHeap<_> = locals.collect::<rusqlite::Result<_>>()?;
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let contacts = locals.iter().map(|local| local.0).sum();
        let probes = count("SELECT count(*) FROM probes")?.max(0) as u64;
        let answers = count("SELECT count(*) FROM answers")?.max(0) as u64;
        Ok(Left { counts: [contacts, probes, answers], locals })
    }

    /// Deletes the oldest contacts of the locals with most contacts. If a web page makes a device contact endless
    /// remotes, contacts of that device are deleted.
    fn contacts(&mut self, connection: &Connection, rows: u32) -> rusqlite::Result<u64> {
        let mut delete = connection.prepare_cached(OLDEST_CONTACTS)?;
        let (mut deleted, rows) = (0, u64::from(rows));
        while deleted < rows
            && let Some((count, last, local)) = self.locals.pop()
        {
            let some = (count / 2).max(1).min(rows - deleted);
            deleted += delete.execute(params![local, some.cast_signed()])? as u64;
            if count > some {
                self.locals.push((count - some, last, local));
            }
        }
        Ok(deleted)
    }
}

/// Reads the next rows. The flag of each row: whether the columns of the row allow the row to be evidence.
fn next(connection: &Connection, table: Table, after: Option<Key>, rows: u32) -> rusqlite::Result<Vec<(Key, bool)>> {
    let mut statement = connection.prepare_cached(match table {
        Table::Probes => {
            "SELECT ts, source, target, kind, port, NOT (contacted_source OR settling) FROM probes
             WHERE (ts, source, target, kind, port) > (?1, ?2, ?3, ?4, ?5)
             ORDER BY ts, source, target, kind, port LIMIT ?6"
        }
        Table::Answers => {
            "SELECT ts, source, target, kind, port, true FROM answers
             WHERE (ts, source, target, kind, port) > (?1, ?2, ?3, ?4, ?5)
             ORDER BY ts, source, target, kind, port LIMIT ?6"
        }
    })?;
    let none = Ipv6Addr::UNSPECIFIED;
    let (ts, source, target, kind, port) = after
        .map_or((i64::MIN, none, none, 0, 0), |(ts, source, target, kind, port)| {
            (ts, source, target, kind as u8, port)
        });
    let found = statement.query_map(params![ts, source.octets(), target.octets(), kind, port, rows], |row| {
        let Answer { ts, source, target, kind, port } = replay::answer(row)?;
        Ok(((ts.0, source, target, kind, port), row.get(5)?))
    })?;
    found.collect()
}
