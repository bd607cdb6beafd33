//! The query socket: how `tattler status` and the others ask a running sensor.
//!
//! A connection carries one question and one answer, a line of JSON each:
//!
//! ```text
//! {"query":"suspects","top":20}
//! {"ok":…}  or  {"error":"one line"}
//! ```
//!
//! Who may ask is a matter of the socket's owner, group and mode; the database stays the owner's
//! alone, and only the sensor's own user and root may have it forget.
//!
//! # Layout
//! - this file: the questions
//! - [`bind`]: the socket file, who may use it, what a dead sensor left behind
//! - [`server`]: the sensor's side
//! - [`client`]: the side of the commands; blocking, without tokio

mod bind;
mod client;
mod server;
#[cfg(test)]
mod tests;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use tattler_core::forget::Forget;
use tattler_core::time::Time;

use crate::query::Question;
pub use bind::{BindError, Listener};
pub(crate) use bind::{GROUP, group_id};
pub use client::{AskError, ask};
pub use server::{Handler, serve};

/// Where the sensor listens unless told otherwise.
pub const DEFAULT_PATH: &str = "/run/tattler/tattler.sock";

/// A question. Unknown keys are refused: a sensor that is older than the command must not answer
/// another question than was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "query", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How the sensor is.
    Status {
        /// Nothing earlier; without it what the sensor has in memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Time>,
        /// Nothing later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// Who leaks.
    Suspects {
        /// How many at most; 0 for all, 20 unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top: Option<usize>,
        /// Nothing earlier; without it what the sensor has in memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Time>,
        /// Nothing later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// The evidence for and against a remote.
    Explain {
        /// An address or a prefix.
        remote: String,
        /// Nothing earlier; without it what the sensor has in memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Time>,
        /// Nothing later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// Unsolicited packets.
    Probes(Question),
    /// Exchanges that ours began.
    Contacts(Question),
    /// Our addresses.
    Locals(Question),
    /// Prefixes that probes come from.
    Scanners(Question),
    /// Deletes for good, from the store and from the window. For the sensor's own user and root.
    Forget {
        /// What.
        what: Forget,
    },
    /// Acknowledges a remote.
    Ack {
        /// An address or a prefix.
        remote: Ipv6Net,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Undoes that.
    Unack {
        /// As it was acknowledged.
        remote: Ipv6Net,
    },
    /// What is acknowledged.
    Acks {},
}

impl Request {
    /// Whether only the owner of the diary may ask that.
    const fn is_for_the_owner(&self) -> bool {
        matches!(self, Request::Forget { .. })
    }
}

/// An answer as it goes over the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Response {
    Ok(serde_json::Value),
    Error(String),
}
