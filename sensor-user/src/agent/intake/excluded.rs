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

    /// Looks what became of a deletion, and starts the next one when it is due. `start` returns at once.
    pub fn turn(&mut self, now: Instant, start: impl FnOnce(Vec<Ipv6Addr>, Sender<Deleted>)) {
        if let Some((addresses, outcome)) = self.running.take() {
            match outcome.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.running = Some((addresses, outcome));
                    return;
                }
                Ok(Ok(())) => self.has_warned = false,
                failed => {
                    let why = failed.map_or_else(|_| "no thread".to_owned(), |outcome| outcome.unwrap_err());
                    // It may stay so for days.
                    if !std::mem::replace(&mut self.has_warned, true) {
                        warn!("records of an excluded device are not wholly deleted yet: {why}; trying again");
                    }
                    self.due.extend(addresses);
                    self.not_before = Some(now + AGAIN);
                }
            }
        }
        if self.due.is_empty() || self.not_before.is_some_and(|at| now < at) {
            return;
        }
        let addresses = std::mem::take(&mut self.due);
        let (sender, receiver) = channel();
        start(addresses.iter().copied().collect(), sender);
        self.running = Some((addresses, receiver));
        self.not_before = None;
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
        let mut deletions: Vec<(Vec<Ipv6Addr>, Sender<Deleted>)> = Vec::new();
        (1..=10).for_each(|n| excluded.add(address(n)));
        excluded.turn(start, |addresses, outcome| deletions.push((addresses, outcome)));
        assert_eq!((deletions.len(), deletions[0].0.len()), (1, 10));

        excluded.add(address(11));
        excluded.turn(start, |addresses, outcome| deletions.push((addresses, outcome)));
        assert_eq!(deletions.len(), 1, "one at a time");

        deletions[0].1.send(Err("an export is reading it".into())).unwrap();
        excluded.turn(start, |addresses, outcome| deletions.push((addresses, outcome)));
        assert_eq!(deletions.len(), 1, "not at once");
        excluded.turn(start + AGAIN, |addresses, outcome| deletions.push((addresses, outcome)));
        assert_eq!((deletions.len(), deletions[1].0.len()), (2, 11));

        deletions[1].1.send(Ok(())).unwrap();
        excluded.turn(start + AGAIN * 3, |addresses, outcome| deletions.push((addresses, outcome)));
        assert_eq!(deletions.len(), 2, "nothing is left to delete");
    }
}
