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
//! - [`bind`]: the socket file, who may use it, what a dead sensor left behind
//! - [`server`]: the sensor's side
//! - [`client`]: the side of the commands; blocking, without tokio

mod bind;
mod client;
mod server;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use bind::{BindError, Listener};
pub(crate) use bind::{GROUP, group_id};
pub use client::{AskError, ask};
pub use server::{Handler, serve};

/// Where the sensor listens unless told otherwise.
pub const DEFAULT_PATH: &str = "/run/tattler/tattler.sock";

/// An answer as it goes over the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Response {
    Ok(serde_json::Value),
    Error(String),
}
