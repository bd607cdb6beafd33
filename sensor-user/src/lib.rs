//! Tattler finds out who told the scanners about your IPv6 addresses.
//!
//! # Layout
//! One direction, no way back:
//! - [`source`]: files and the live sensor yield [`observation`]s and know nothing of their use
//! - [`ledger`]: the index of the window, without I/O and without a clock
//! - [`campaign`], [`attribution`]: pure functions of the ledger
//! - [`report`]: what they found, as the JSON contract and as tables
//! - [`cli`]: a file for each command
//!
//! Beside it, in the live sensor:
//! - `store`: the memory across restarts
//! - `metrics`, `http`: what the sensor says of itself
//! - `socket`: how commands ask a running sensor

pub mod attribution;
pub mod campaign;
pub mod cli;
#[cfg(feature = "live")]
pub mod datapath;
#[cfg(feature = "live")]
pub mod http;
pub mod ledger;
#[cfg(feature = "live")]
pub mod metrics;
#[cfg(feature = "live")]
pub mod netlink;
pub mod observation;
#[cfg(feature = "live")]
mod reason;
pub mod report;
#[cfg(feature = "live")]
pub mod socket;
pub mod source;
#[cfg(feature = "live")]
pub mod store;
pub mod time;
