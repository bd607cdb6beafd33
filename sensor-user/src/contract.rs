//! Requests to a sensor or its store, and the tables with the answers, as JSON.
//!
//! Commands send requests through the socket to a running sensor, or `query` answers the requests from the store.

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tattler_core::forget::Forget;
use tattler_core::time::Time;

/// A request. Unknown keys are refused, so that a sensor older than the command does not answer a
/// different question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "query", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The state of the sensor.
    Status {
        /// Ignore earlier rows. If `None`, the ledger in memory is used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Time>,
        /// Ignore later rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// Remotes that leak.
    Suspects {
        /// Maximum number of candidates; 0: all, absent: 20.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top: Option<usize>,
        /// Ignore earlier rows. If `None`, the ledger in memory is used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Time>,
        /// Ignore later rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// The evidence for and against a remote.
    Explain {
        /// An address or a prefix.
        remote: String,
        /// Ignore earlier rows. If `None`, the ledger in memory is used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Time>,
        /// Ignore later rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// Unsolicited packets.
    Probes(RowsQuestion),
    /// Exchanges that locals began.
    Contacts(RowsQuestion),
    /// Our addresses.
    Locals(RowsQuestion),
    /// Campaigns.
    Scanners(RowsQuestion),
    /// Deletes rows for good, from store and ledger. Only for root and the sensor's user.
    Forget {
        /// The rows to delete.
        what: Forget,
    },
    /// Acknowledges a remote.
    Ack {
        /// An address or a prefix.
        remote: Ipv6Net,
        /// Time at which the acknowledgement expires.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// The user's reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Removes an acknowledgement.
    Unack {
        /// The acknowledged address or prefix.
        remote: Ipv6Net,
    },
    /// All acknowledgements.
    Acks {},
}

impl Request {
    /// Whether only the owner of the store may send this request.
    #[must_use]
    pub const fn is_for_the_owner(&self) -> bool {
        matches!(self, Request::Forget { .. })
    }
}

/// A question about rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowsQuestion {
    /// Ignore earlier rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Ignore later rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// A filter: only rows that pass are in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Filters: rows that pass any of these filters are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Columns by which rows are counted, such as `remote/48,port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// List the first contact of each group.
    #[serde(skip_serializing_if = "is_false")]
    pub first_seen: bool,
    /// For scanners: list sources in a form that may be published.
    #[serde(skip_serializing_if = "is_false")]
    pub publish: bool,
    /// Maximum number of rows; 0: as many as an answer can hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The answer to a [`RowsQuestion`], one JSON document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowsAnswer {
    /// The name of the contract: `tattler.contacts/1`.
    pub schema: String,
    /// Beginning of the window, as in the question.
    pub since: Option<Time>,
    /// End of the window, as in the question.
    pub until: Option<Time>,
    /// Keys of the rows in the order of the columns, without the keys of lists of objects.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Map<String, Value>>,
    /// Number of rows that the limit left out.
    pub more: u64,
    /// Notes on other omissions, one line each.
    pub notes: Vec<String>,
}

impl RowsAnswer {
    /// Converts the answer to JSON without a copy of the rows: a long answer takes much memory.
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
