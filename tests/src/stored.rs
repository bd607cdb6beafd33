//! The rows in a sensor's database.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

/// Rows of the database, without their times.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// Local, remote, protocol number, port.
    pub contacts: BTreeSet<(Ipv6Addr, Ipv6Addr, u8, u16)>,
    /// Source, target, kind, port.
    pub probes: BTreeSet<(Ipv6Addr, Ipv6Addr, u8, u16)>,
    /// Source, target, kind, port of probes that were answered.
    pub answers: BTreeSet<(Ipv6Addr, Ipv6Addr, u8, u16)>,
}

impl Stored {
    /// Reads the state directory of a sensor that has ended.
    pub fn read(state: &Path) -> Stored {
        let path = state.join("tattler.db");
        let database = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("open the database");
        let rows = |sql: &str| {
            let mut statement = database.prepare(sql).expect(sql);
            let address = |row: &Row<'_>, column| row.get::<_, [u8; 16]>(column).map(Ipv6Addr::from);
            let rows =
                statement.query_map([], |row| Ok((address(row, 0)?, address(row, 1)?, row.get(2)?, row.get(3)?)));
            rows.expect(sql).collect::<Result<_, _>>().expect(sql)
        };
        Stored {
            contacts: rows("SELECT local, remote, proto, port FROM contacts"),
            probes: rows("SELECT source, target, kind, port FROM probes"),
            answers: rows("SELECT source, target, kind, port FROM answers"),
        }
    }
}
