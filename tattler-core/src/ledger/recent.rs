//! The UDP rule, applied again: a packet is not a probe if it goes to a port that sent recently, or
//! comes from a remote that was contacted recently. This works even if the kernel has evicted the
//! state for its own rule.

use std::collections::HashMap;

use super::rows::AddrId;
use crate::time::{Span, Time};

/// Time during which outgoing UDP explains incoming UDP: five minutes as in the kernel's rule, and
/// another minute because ports and pairs are reported once a minute.
const MEMORY: Span = Span::from_seconds(360);
/// The maximum number of ports and pairs; each takes 64 bytes.
const MAX: usize = 262_144;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Port(AddrId, u16),
    Pair(AddrId, AddrId),
}

/// The times at which locals sent UDP, by port and by remote. Entries contain the numbers of
/// addresses, so all entries are deleted whenever addresses are renumbered, also at each pruning.
#[derive(Default)]
pub(super) struct Recent {
    sent: HashMap<Key, (Time, Time)>,
    latest: Time,
}

impl Recent {
    /// Records outgoing UDP between `first` and `last`.
    pub(super) fn sent(&mut self, local: AddrId, port: Option<u16>, remote: AddrId, first: Time, last: Time) {
        self.latest = self.latest.max(last);
        if self.sent.len() + 2 > MAX {
            self.make_room();
        }
        let keys = [port.map(|port| Key::Port(local, port)), Some(Key::Pair(local, remote))];
        for key in keys.into_iter().flatten() {
            let span = self.sent.entry(key).or_insert((first, last));
            if first <= span.1 + MEMORY && last + MEMORY >= span.0 {
                *span = (span.0.min(first), span.1.max(last));
            } else if first > span.1 {
                *span = (first, last);
            }
        }
    }

    /// Whether UDP that arrived at `at` follows recent outgoing UDP. `remote` is `None` for a
    /// remote that the ledger has never seen.
    pub(super) fn explains(&self, local: AddrId, port: u16, remote: Option<AddrId>, at: Time) -> bool {
        let pair = remote.map(|remote| Key::Pair(local, remote));
        [Some(Key::Port(local, port)), pair]
            .iter()
            .flatten()
            .filter_map(|key| self.sent.get(key))
            .any(|&(first, last)| first < at && at - last < MEMORY)
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
    }

    fn make_room(&mut self) {
        let horizon = self.latest - MEMORY;
        self.sent.retain(|_, span| span.1 > horizon);
        if self.sent.len() > MAX / 2 {
            // All entries are at most six minutes old. It is safe to delete the entries: the
            // kernel's own tables still apply the rule.
            self.sent.clear();
        }
    }
}
