//! Requests to a sensor or its store, and the tables that answer them, as JSON.
//!
//! Commands make the requests. The socket carries them to a running sensor; `query` answers them from the
//! store.

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tattler_core::forget::Forget;
use tattler_core::time::Time;

/// A request. Unknown keys are refused: a sensor that is older than the command must not answer
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
    Probes(RowsQuestion),
    /// Exchanges that ours began.
    Contacts(RowsQuestion),
    /// Our addresses.
    Locals(RowsQuestion),
    /// Prefixes that probes come from.
    Scanners(RowsQuestion),
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
    /// Whether only the owner of the store may ask for that.
    #[must_use]
    pub const fn is_for_the_owner(&self) -> bool {
        matches!(self, Request::Forget { .. })
    }
}

/// A question, as it goes through the socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowsQuestion {
    /// Nothing earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Nothing later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Only what passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// None of what passes one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Counts by these columns, as `remote/48,port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When each began.
    #[serde(skip_serializing_if = "is_false")]
    pub first_seen: bool,
    /// Of scanners: sources, in a form that may be published.
    #[serde(skip_serializing_if = "is_false")]
    pub publish: bool,
    /// Rows at most; 0 for as many as an answer takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// An answer: one document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowsAnswer {
    /// `tattler.contacts/1`.
    pub schema: String,
    /// As asked.
    pub since: Option<Time>,
    /// As asked.
    pub until: Option<Time>,
    /// Keys of the rows, in the order of a table's columns. Lists of objects are not among them.
    pub columns: Vec<String>,
    /// An object each.
    pub rows: Vec<Map<String, Value>>,
    /// Rows that the limit left out.
    pub more: u64,
    /// What else did not fit, a line each.
    pub notes: Vec<String>,
}

impl RowsAnswer {
    /// As JSON. Takes the rows as they are: a copy of a long answer would double what it takes.
    #[must_use]
    pub fn into_value(self) -> Value {
        let RowsAnswer { schema, since, until, columns, rows, more, notes } = self;
        let mut value = json!({
            "schema": schema, "since": since, "until": until, "columns": columns, "more": more, "notes": notes,
        });
        value["rows"] = Value::Array(rows.into_iter().map(Value::Object).collect());
        value
    }
}
