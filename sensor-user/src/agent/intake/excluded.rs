//! Deletes what was recorded of excluded devices before their addresses were known.
//!
//! A neighbour often becomes known a moment after its first packet. One deletion takes care of all addresses that
//! have become known by then, since each may rewrite the database. A deletion that fails is repeated until it
//! succeeds: nothing of an excluded device may stay.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use tracing::warn;

/// The wait after a failure: another process reads the database, or the disk is full.
const AGAIN: Duration = Duration::from_secs(30);

/// The outcome of a deletion.
pub type Deleted = Result<(), String>;

/// Addresses of excluded devices.
#[derive(Default)]
pub struct Excluded {
    due: HashSet<Ipv6Addr>,
    running: Option<(HashSet<Ipv6Addr>, Receiver<Deleted>)>,
    not_before: Option<Instant>,
    has_warned: bool,
}

impl Excluded {
    /// An address turned out to belong to an excluded device.
    pub fn add(&mut self, address: Ipv6Addr) {
        self.due.insert(address);
    }

    /// Checks what became of a deletion. Returns the addresses to delete next and where to send the outcome, if a
    /// deletion is due.
    pub fn turn(&mut self, now: Instant) -> Option<(Vec<Ipv6Addr>, Sender<Deleted>)> {
        if let Some((addresses, outcome)) = &mut self.running {
            match outcome.try_recv() {
                Err(TryRecvError::Empty) => return None,
                Ok(Ok(())) => self.has_warned = false,
                failed => {
                    let why = failed.map_or_else(|_| "no thread".to_owned(), |outcome| outcome.unwrap_err());
                    // It may stay so for days.
                    if !std::mem::replace(&mut self.has_warned, true) {
                        warn!("records of an excluded device are not wholly deleted yet: {why}; trying again");
                    }
                    self.due.extend(addresses.drain());
                    self.not_before = Some(now + AGAIN);
                }
            }
            self.running = None;
        }
        if self.due.is_empty() || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let addresses = std::mem::take(&mut self.due);
        let (sender, receiver) = channel();
        let due = addresses.iter().copied().collect();
        self.running = Some((addresses, receiver));
        self.not_before = None;
        Some((due, sender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    #[test]
    fn addresses_are_deleted_together_and_again_after_a_failure() {
        let (mut excluded, start) = (Excluded::default(), Instant::now());
        let mut deletions = Vec::new();
        (1..=10).for_each(|n| excluded.add(address(n)));
        deletions.extend(excluded.turn(start));
        assert_eq!((deletions.len(), deletions[0].0.len()), (1, 10));

        excluded.add(address(11));
        deletions.extend(excluded.turn(start));
        assert_eq!(deletions.len(), 1, "one at a time");

        deletions[0].1.send(Err("an export is reading it".into())).unwrap();
        deletions.extend(excluded.turn(start));
        assert_eq!(deletions.len(), 1, "not at once");
        deletions.extend(excluded.turn(start + AGAIN));
        assert_eq!((deletions.len(), deletions[1].0.len()), (2, 11));

        deletions[1].1.send(Ok(())).unwrap();
        deletions.extend(excluded.turn(start + AGAIN * 3));
        assert_eq!(deletions.len(), 2, "nothing is left to delete");
    }
}
