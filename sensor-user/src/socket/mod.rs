//! The query socket, through which commands ask a running sensor.
//!
//! A connection carries one request and one response. Each is a line of JSON:
//!
//! ```text
//! {"query":"suspects","top":20}
//! {"ok":…}  or  {"error":"one line"}
//! ```
//!
//! Owner, group and mode of the socket decide who may send requests. The database is readable by its owner
//! alone, and only root and the sensor's user may delete rows.
//!
//! # Layout
//! - `bind`: the socket file
//! - `server`: the server in the sensor
//! - `client`: the client for commands; blocking, without tokio

mod bind;
mod client;
mod server;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use bind::{GROUP, group_id};
pub use bind::{Listener, SocketBindError};
pub use client::{AskError, ask};
pub use server::{Handler, serve};

/// A response on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Response {
    Ok(serde_json::Value),
    Error(String),
}
