//! By which clock rows are dated, and what happens to them when it is set.
//!
//! Events bear boot time; a row bears the wall-clock time that this was by the boot's *origin*, the
//! wall-clock time at which boot time was 0. There is one origin for a boot, it is kept here, and it
//! changes with the dates of all rows of the boot in one transaction: so within a boot, order and lags
//! are those of boot time, whoever sets the clock, and whenever the sensor dies.

use rusqlite::{Connection, OptionalExtension, params};
use tattler_core::time::{Span, Time};

use super::{Store, WriteError};

/// The boot that rows are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Above 0; boots of this store are counted.
    pub(super) number: i64,
    /// The wall-clock time at which boot time was 0, by which rows are dated.
    pub origin: Time,
}

/// Further away than any row: where rows are while their places are taken by others.
const ASIDE: i64 = 1 << 61;

impl Store {
    /// What is appended from now on is of the boot that the kernel calls `boot_id`. If rows of it are
    /// there already, they and what comes go by the origin that they went by; else by this one, and
    /// what earlier boots left is dated once and for all.
    ///
    /// # Errors
    /// It can't be written down; nothing has changed.
    pub fn begin_boot(&mut self, boot_id: &str, origin: Time) -> Result<Boot, WriteError> {
        let boot = begin(&mut self.connection, boot_id, origin).map_err(|error| WriteError::new(&self.path, error))?;
        self.boot = Some(boot);
        self.kept.boot_id = Some(boot_id.to_owned());
        Ok(boot)
    }

    /// Dates all rows of this boot anew, by `step` later. Says how many.
    ///
    /// # Errors
    /// They are dated as they were.
    pub fn redate(&mut self, step: Span) -> Result<u64, WriteError> {
        self.append_after(step, &[], None)
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

/// Dates the rows of a boot anew and notes its origin, within a transaction.
pub(super) fn redate(connection: &Connection, boot: Boot, step: Span) -> rusqlite::Result<u64> {
    let origin = boot.origin + step;
    connection.execute("UPDATE clock SET origin = ?1", [origin.0])?;
    // An index over dates that all change is cheaper made anew.
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

/// The time of an event is in its row's key: no row may take the place of one that has yet to go. So all
/// go aside first, unless they go further than they are spread. What is in the way then is of an import,
/// and tells the same event.
fn redate_events(connection: &Connection, table: &str, boot: Boot, step: Span) -> rusqlite::Result<usize> {
    let spread = format!("SELECT max(ts) - min(ts) FROM {table} WHERE boot = ?1");
    let spread: Option<i64> = connection.query_row(&spread, [boot.number], |row| row.get(0))?;
    let Some(spread) = spread else { return Ok(0) };
    let go = format!("UPDATE OR REPLACE {table} SET ts = ts + ?1 WHERE boot = ?2");
    let steps = if spread < step.0.saturating_abs() { vec![step.0] } else { vec![ASIDE, step.0 - ASIDE] };
    let rows = steps.iter().map(|step| connection.execute(&go, params![step, boot.number]));
    rows.collect::<rusqlite::Result<Vec<usize>>>().map(|rows| rows.last().copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use sensor_common::Proto;
    use tattler_core::observation::{Contact, Observation};

    use super::super::tests::probe_at;
    use super::*;

    const YEARS: Span = Span::from_days(20_000);

    fn contact(seconds: i64) -> Observation {
        let (local, remote) = ("2001:db8::1".parse().unwrap(), "2a05::53".parse().unwrap());
        Observation::Contact(Contact::new(Time::from_seconds(seconds), local, remote, Proto::Tcp, 443))
    }

    fn contacts(store: &Store) -> Vec<(i64, i64, u32)> {
        let mut all = Vec::new();
        let mut give = |observation| {
            if let Observation::Contact(contact) = observation {
                all.push((contact.ts.0 / 1_000_000, contact.last.0 / 1_000_000, contact.count));
            }
        };
        store.replay(Time(i64::MIN), &mut give).unwrap();
        all
    }

    fn probes(store: &Store) -> Vec<i64> {
        let mut all = Vec::new();
        store
            .replay(Time(i64::MIN), &mut |o| all.extend(matches!(o, Observation::Probe(_)).then_some(o.ts().0)))
            .unwrap();
        all
    }

    #[test]
    fn a_contact_that_goes_on_from_boot_to_boot_is_dated_anew_only_in_the_present_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let start = YEARS.0 / 1_000_000;
        store.begin_boot("first", Time(0) + YEARS).unwrap();
        store.append(&[contact(start + 1), contact(start + 5)]).unwrap();
        drop(store);
        // A router without a battery: its second boot begins in 1970.
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.begin_boot("second", Time(0)).unwrap().number, 2);
        store.append(&[contact(7), contact(9)]).unwrap();
        assert_eq!(contacts(&store), [(7, start + 5, 4)]);
        assert_eq!(store.redate(YEARS).unwrap(), 1);
        assert_eq!(contacts(&store), [(start + 1, start + 9, 4)]);
        // The sensor starts again, in the same boot.
        drop(store);
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.begin_boot("second", Time(123)).unwrap(), Boot { number: 2, origin: Time(YEARS.0) });
        assert_eq!(store.redate(Span::from_seconds(100)).unwrap(), 1);
        assert_eq!(contacts(&store), [(start + 1, start + 109, 4)]);
        // And what is past stays as it is.
        store.begin_boot("third", Time(0)).unwrap();
        assert_eq!(store.redate(Span::from_seconds(100)).unwrap(), 0);
        assert_eq!(contacts(&store), [(start + 1, start + 109, 4)]);
    }

    #[test]
    fn rows_that_move_into_each_others_places_all_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.append(&[probe_at(1_000)]).unwrap();
        store.begin_boot("first", Time(0)).unwrap();
        let all: Vec<Observation> = (0..500).map(probe_at).collect();
        store.append(&all).unwrap();
        for step in [1, -1, 250, -2_000, 3_000] {
            assert_eq!(store.redate(Span(step)).unwrap(), 500);
        }
        let mut expected: Vec<i64> = std::iter::once(1_000).chain(1_250..1_750).collect();
        expected.sort_unstable();
        assert_eq!(probes(&store), expected);
    }

    #[test]
    fn what_was_there_without_a_boot_is_dated_once_and_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.append(&[contact(1), probe_at(2)]).unwrap();
        store.begin_boot("first", Time(0)).unwrap();
        assert_eq!(store.redate(YEARS).unwrap(), 0);
        assert_eq!((contacts(&store), probes(&store)), (vec![(1, 1, 1)], vec![2]));
    }
}
