//! Tattler finds out who told the scanners about your IPv6 addresses.
//!
//! # Layout
//! One direction, no way back:
//! - [`source`]: files and the live sensor yield [`observation`]s and know nothing of their use
//! - [`ledger`]: the index of the window, without I/O and without a clock
//! - [`campaign`], [`attribution`]: pure functions of the ledger
//! - [`report`]: what they found, as the JSON contract and as tables
//! - [`cli`]: a file for each command

pub mod cli;
#[cfg(feature = "live")]
pub mod datapath;
#[cfg(feature = "live")]
pub mod netlink;
pub mod observation;
pub mod source;
pub mod attribution;
pub mod campaign;
pub mod ledger;
pub mod observation;
pub mod report;
#[cfg(feature = "live")]
pub mod http;
#[cfg(feature = "live")]
pub mod metrics;
pub mod observation;
#[cfg(feature = "live")]
mod reason;
#[cfg(feature = "live")]
pub mod socket;
#[cfg(feature = "live")]
pub mod store;
pub mod time;
