//! Removes forgotten addresses from the kernel's tables, on a thread of its own.
//!
//! The rules read what the programs saw in the last five minutes: without it, the answer to a packet that was
//! just sent counts as a probe. So entries that have been idle for longer are removed at once. The others are removed
//! once they have been idle for so long, unless they were used after the request.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::Ipv6Addr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sensor_common::rules::QUIET;
use sensor_common::wire::BootTime;
use tattler_core::forget::Forget;
use tattler_core::time::Time;
use tracing::warn;

use super::clock;
use crate::datapath::{FlowEntry, Memory};
use crate::system_clock::span;

/// Requests that may wait for their second turn; each one has rewritten the database.
const MOST: usize = 256;

/// A request to remove entries.
#[derive(Clone, Debug)]
pub struct Erase {
    /// What to remove, each with the locals of its device.
    pub what: Vec<(Forget, HashSet<Ipv6Addr>)>,
    /// When it was made, in nanoseconds since boot.
    pub at: BootTime,
}

impl Erase {
    /// Whether an entry is to be removed now.
    fn means(&self, entry: FlowEntry, now: BootTime, booted: Time) -> bool {
        let FlowEntry { local, remote, last } = entry;
        let seen = booted + span(last);
        last <= self.at
            && now.saturating_sub(last) >= QUIET
            && self.what.iter().any(|(forget, locals)| {
                forget.means(local, remote.unwrap_or(local), locals) && forget.before.is_none_or(|time| seen < time)
            })
    }
}

/// Starts the thread. It ends when it receives `None`, after it has removed what still waits.
pub fn start(memory: Memory) -> io::Result<(Sender<Option<Erase>>, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let thread = thread::Builder::new().name("erase".into()).spawn(move || erase_all(memory, &receiver))?;
    Ok((sender, thread))
}

fn erase_all(mut memory: Memory, receiver: &Receiver<Option<Erase>>) {
    let mut waiting: VecDeque<Erase> = VecDeque::new();
    loop {
        let wait = waiting.front().map(|next| (next.at + QUIET).saturating_sub(clock::boot()));
        let new = match wait {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(nanos) => receiver.recv_timeout(Duration::from_nanos(nanos)),
        };
        match new {
            Ok(Some(new)) => {
                erase(&mut memory, std::slice::from_ref(&new), clock::boot());
                waiting.push_back(new);
                if waiting.len() > MOST {
                    waiting.pop_front();
                    warn!("too much to forget at once: entries may stay in the kernel's tables until `tattler detach`");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(idle) = waiting.pop_front() {
                    erase(&mut memory, &[idle], clock::boot());
                }
            }
            // The next process may adopt the tables, and would not know what waited.
            Ok(None) | Err(RecvTimeoutError::Disconnected) => {
                if !waiting.is_empty() {
                    erase(&mut memory, waiting.make_contiguous(), BootTime::MAX);
                }
                return;
            }
        }
    }
}

fn erase(memory: &mut Memory, requests: &[Erase], now: BootTime) {
    let booted = clock::booted();
    let outcome = memory.remove(&mut |entry| requests.iter().any(|request| request.means(entry, now, booted)));
    if let Err(error) = outcome {
        warn!("forgotten entries may stay in the kernel's tables until `tattler detach`: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_removed_once_idle_unless_used_since() {
        let [local, other, remote] =
            ["2001:db8::1", "2001:db8::2", "2a05::1"].map(|text| text.parse::<Ipv6Addr>().unwrap());
        let second = |seconds: u64| seconds * 1_000_000_000;
        let of = |forget| Erase { what: vec![(forget, HashSet::from([local]))], at: second(1_000) };
        let entry = |local, remote, seconds| FlowEntry { local, remote, last: second(seconds) };
        let goes = |erase: &Erase, entry, seconds| erase.means(entry, second(seconds), Time(0));

        let site = of(Forget::parse("2a05::/32"));
        assert!(goes(&site, entry(local, Some(remote), 600), 1_000));
        assert!(!goes(&site, entry(local, Some(remote), 900), 1_000), "the rules still need it");
        assert!(goes(&site, entry(local, Some(remote), 900), 1_300));
        assert!(!goes(&site, entry(local, Some(remote), 1_001), 1_400), "it was used after the request");
        assert!(site.means(entry(local, Some(remote), 999), BootTime::MAX, Time(0)), "at the end");
        assert!(!goes(&site, entry(local, None, 0), 1_000), "a port has no remote");
        assert!(goes(&of(Forget::parse("2001:db8::1")), entry(local, None, 0), 1_000));

        let device = of(Forget::parse("dev-00000001"));
        assert_eq!([local, other].map(|local| goes(&device, entry(local, Some(remote), 0), 1_000)), [true, false]);
        let before = of(Forget { before: Some(Time::from_seconds(500)), ..Forget::default() });
        assert_eq!([499, 500].map(|last| goes(&before, entry(local, None, last), 1_000)), [true, false]);
    }
}
