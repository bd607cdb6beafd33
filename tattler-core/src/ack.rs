//! Acknowledged remotes: suspects that somebody has seen, and does not want to see every day.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The longest note that is kept, in bytes.
pub const LONGEST_NOTE: usize = 1_024;

/// A remote, or a prefix of them, that was acknowledged. Nothing about it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// What.
    pub remote: Ipv6Net,
    /// When it was acknowledged.
    pub at: Time,
    /// Until when that counts; `None`: until it is undone.
    pub until: Option<Time>,
    /// Why, in the user's words.
    pub note: Option<String>,
}

impl Ack {
    /// Whether it still counts.
    #[must_use]
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn covers(&self, members: &[Ipv6Addr], prefix: Ipv6Net) -> bool {
        self.remote.contains(&prefix)
            || !members.is_empty() && members.iter().all(|member| self.remote.contains(member))
    }
}

/// What a candidate of a report says of its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// Until when; null: until it is undone.
    pub until: Option<Time>,
    /// Why; null if nobody said.
    pub note: Option<String>,
    /// Since when.
    pub at: Time,
}

/// Whether a candidate with these members and this prefix is acknowledged now.
#[must_use]
pub fn is_acked(acks: &[Ack], members: &[Ipv6Addr], prefix: Ipv6Net, now: Time) -> bool {
    acks.iter().any(|ack| ack.holds(now) && ack.covers(members, prefix))
}

/// The acknowledgement of a candidate with these members and this prefix; of several that hold now, that
/// of the longest prefix.
#[must_use]
pub fn acked(acks: &[Ack], members: &[Ipv6Addr], prefix: Ipv6Net, now: Time) -> Option<Acked> {
    let covering = acks.iter().filter(|ack| ack.holds(now) && ack.covers(members, prefix));
    let ack = covering.max_by_key(|ack| ack.remote.prefix_len())?;
    Some(Acked { until: ack.until, note: ack.note.clone(), at: ack.at })
}
