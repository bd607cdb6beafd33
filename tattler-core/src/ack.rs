//! Acknowledged remotes: suspects that the user has seen and does not want to see again every day.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The longest note that can be stored, in bytes.
pub const LONGEST_NOTE: usize = 1_024;

/// An acknowledged remote or prefix. Data about the remote are not deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The remote or prefix.
    pub remote: Ipv6Net,
    /// Time of the acknowledgement.
    pub at: Time,
    /// Time when the acknowledgement expires; `None`: never.
    pub until: Option<Time>,
    /// The user's reason.
    pub note: Option<String>,
}

impl Ack {
    /// Whether the acknowledgement has not expired.
    #[must_use]
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn covers(&self, members: &[Ipv6Addr], prefix: Ipv6Net) -> bool {
        self.remote.contains(&prefix)
            || !members.is_empty() && members.iter().all(|member| self.remote.contains(member))
    }
}

/// The acknowledgement of a candidate, as part of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// Time when the acknowledgement expires; null: never.
    pub until: Option<Time>,
    /// The user's reason; null if the user gave no reason.
    pub note: Option<String>,
    /// Time of the acknowledgement.
    pub at: Time,
}

/// Whether an acknowledgement that has not expired covers a candidate with these members and this
/// prefix.
#[must_use]
pub fn is_acked(acks: &[Ack], members: &[Ipv6Addr], prefix: Ipv6Net, now: Time) -> bool {
    acks.iter().any(|ack| ack.holds(now) && ack.covers(members, prefix))
}

/// The acknowledgement of a candidate with these members and this prefix. If several hold now, the
/// result is the acknowledgement with the longest prefix.
#[must_use]
pub fn acked(acks: &[Ack], members: &[Ipv6Addr], prefix: Ipv6Net, now: Time) -> Option<Acked> {
    let covering = acks.iter().filter(|ack| ack.holds(now) && ack.covers(members, prefix));
    let ack = covering.max_by_key(|ack| ack.remote.prefix_len())?;
    Some(Acked { until: ack.until, note: ack.note.clone(), at: ack.at })
}
