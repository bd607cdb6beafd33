//! The boot to which rows belong, and the new dates of rows after the clock was set.
//!
//! The time of an event is boot time. The time of a row is wall-clock time: boot time plus the *origin* of the boot,
//! which is the wall-clock time at which boot time was 0. Each boot has one origin, which the database stores. The
//! origin changes in one transaction with the dates of all rows of the boot. So within a boot, the order of rows and
//! the lags between rows are always the same as in boot time, even if the clock is set or the sensor dies.

use rusqlite::{Connection, OptionalExtension, params};
use tattler_core::time::{Span, Time};

use super::{Store, WriteError};

/// The boot to which new rows belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The number of the boot. The boots of this store are counted from 1.
    pub(super) number: i64,
    /// The wall-clock time at which boot time was 0. Rows are dated by this origin.
    pub origin: Time,
}

/// A time later than any row. Rows that could collide with each other first move by this amount.
const OUT_OF_RANGE: i64 = 1 << 61;

impl Store {
    /// Rows that are appended after this call belong to the boot with the kernel's id `boot_id`. If the store knows
    /// that boot, the stored origin stays. Otherwise `origin` becomes the origin of the new boot, and the dates of all
    /// earlier rows are final.
    ///
    /// # Errors
    /// The store can't be written. The store is unchanged.
    pub fn begin_boot(&mut self, boot_id: &str, origin: Time) -> Result<Boot, WriteError> {
        let boot = begin(&mut self.connection, boot_id, origin).map_err(|error| WriteError::new(&self.path, error))?;
        self.boot = Some(boot);
        self.kept.boot_id = Some(boot_id.to_owned());
        Ok(boot)
    }
}

fn begin(connection: &mut Connection, boot_id: &str, origin: Time) -> rusqlite::Result<Boot> {
    let transaction = connection.transaction()?;
    let known = "SELECT boot, origin FROM clock WHERE boot > 0 AND boot_id = ?1";
    let known =
        transaction.query_row(known, [boot_id], |row| Ok(Boot { number: row.get(0)?, origin: Time(row.get(1)?) }));
    if let Some(boot) = known.optional()? {
        return Ok(boot);
    }
    transaction.execute("UPDATE clock SET boot = boot + 1, boot_id = ?1, origin = ?2", params![boot_id, origin.0])?;
    transaction.execute(
        "UPDATE contacts SET old_first = first, old_last = last, old_count = count,
            new_first = NULL, new_last = NULL, new_count = NULL WHERE new_last IS NOT NULL",
        [],
    )?;
    let number = transaction.query_row("SELECT boot FROM clock", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(Boot { number, origin })
}

/// Moves the dates of all rows of a boot, and the origin of the boot, within a transaction. Returns the number of moved
/// rows.
pub(super) fn redate(connection: &Connection, boot: Boot, step: Span) -> rusqlite::Result<u64> {
    let origin = boot.origin + step;
    connection.execute("UPDATE clock SET origin = ?1", [origin.0])?;
    // Every entry of this index changes: rebuilding the index is faster than updating all entries.
    connection.execute_batch("DROP INDEX contacts_last")?;
    let mut rows = connection.execute(
        "UPDATE contacts SET new_first = new_first + ?1, new_last = new_last + ?1 WHERE new_last IS NOT NULL",
        [step.0],
    )?;
    connection.execute_batch("CREATE INDEX contacts_last ON contacts (last)")?;
    for table in ["probes", "answers"] {
        rows += redate_events(connection, table, boot, step)?;
    }
    Ok(rows as u64)
}

/// Moves the dates of the rows of a boot. The time is part of the key, so a moved row could collide with a row that has
/// not moved yet. Unless the step is longer than the time span of all rows, the rows first move out of range. A row
/// that still has the same key is an imported copy of the same event, and is replaced.
fn redate_events(connection: &Connection, table: &str, boot: Boot, step: Span) -> rusqlite::Result<usize> {
    let span = format!("SELECT max(ts) - min(ts) FROM {table} WHERE boot = ?1");
    let span: Option<i64> = connection.query_row(&span, [boot.number], |row| row.get(0))?;
    let Some(span) = span else { return Ok(0) };
    let update = format!("UPDATE OR REPLACE {table} SET ts = ts + ?1 WHERE boot = ?2");
    let shift = |by: i64| connection.execute(&update, params![by, boot.number]);
    if span < step.0.saturating_abs() {
        shift(step.0)
    } else {
        shift(OUT_OF_RANGE)?;
        shift(step.0 - OUT_OF_RANGE)
    }
}

#[cfg(test)]
mod tests {
    use sensor_common::Proto;
    use tattler_core::observation::{Contact, Observation};

    use super::super::tests::{new_store, probe_at, replayed};
    use super::*;

    const YEARS: Span = Span::from_days(20_000);

    fn contact(seconds: i64) -> Observation {
        let (local, remote) = ("2001:db8::1".parse().unwrap(), "2a05::53".parse().unwrap());
        Observation::Contact(Contact::new(Time::from_seconds(seconds), local, remote, Proto::Tcp, 443))
    }

    fn redate(store: &mut Store, step: Span) -> u64 {
        store.append_after(step, &[], None).unwrap()
    }

    fn contacts(store: &Store) -> Vec<(i64, i64, u32)> {
        let of_contact = |row| match row {
            Observation::Contact(c) => Some((c.ts.0 / 1_000_000, c.last.0 / 1_000_000, c.count)),
            _ => None,
        };
        replayed(store, i64::MIN).into_iter().filter_map(of_contact).collect()
    }

    fn probes(store: &Store) -> Vec<i64> {
        let is_probe = |row: &&Observation| matches!(row, Observation::Probe(_));
        replayed(store, i64::MIN).iter().filter(is_probe).map(|probe| probe.ts().0).collect()
    }

    #[test]
    fn a_step_moves_only_the_part_of_a_contact_of_this_boot() {
        let (dir, mut store) = new_store();
        let start = YEARS.0 / 1_000_000;
        store.begin_boot("first", Time(0) + YEARS).unwrap();
        store.append(&[contact(start + 1), contact(start + 5)]).unwrap();
        drop(store);
        // A router without a battery: its second boot begins in 1970.
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.begin_boot("second", Time(0)).unwrap().number, 2);
        store.append(&[contact(7), contact(9)]).unwrap();
        assert_eq!(contacts(&store), [(7, start + 5, 4)]);
        assert_eq!(redate(&mut store, YEARS), 1);
        assert_eq!(contacts(&store), [(start + 1, start + 9, 4)]);
        // The sensor restarts within the boot.
        drop(store);
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.begin_boot("second", Time(123)).unwrap(), Boot { number: 2, origin: Time(YEARS.0) });
        assert_eq!(redate(&mut store, Span::from_seconds(100)), 1);
        assert_eq!(contacts(&store), [(start + 1, start + 109, 4)]);
        // Rows of an earlier boot keep their dates.
        store.begin_boot("third", Time(0)).unwrap();
        assert_eq!(redate(&mut store, Span::from_seconds(100)), 0);
        assert_eq!(contacts(&store), [(start + 1, start + 109, 4)]);
    }

    #[test]
    fn a_step_loses_no_row_whose_new_time_another_row_has() {
        let (_dir, mut store) = new_store();
        store.append(&[probe_at(1_000)]).unwrap();
        store.begin_boot("first", Time(0)).unwrap();
        let all: Vec<Observation> = (0..500).map(probe_at).collect();
        store.append(&all).unwrap();
        for step in [1, -1, 250, -2_000, 3_000] {
            assert_eq!(redate(&mut store, Span(step)), 500);
        }
        let mut expected: Vec<i64> = std::iter::once(1_000).chain(1_250..1_750).collect();
        expected.sort_unstable();
        assert_eq!(probes(&store), expected);
    }

    #[test]
    fn rows_of_no_boot_keep_their_dates() {
        let (_dir, mut store) = new_store();
        store.append(&[contact(1), probe_at(2)]).unwrap();
        store.begin_boot("first", Time(0)).unwrap();
        assert_eq!(redate(&mut store, YEARS), 0);
        assert_eq!((contacts(&store), probes(&store)), (vec![(1, 1, 1)], vec![2]));
    }
}
