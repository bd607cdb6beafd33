//! Tattler finds out who told the scanners about your IPv6 addresses.
//!
//! # Layout
//! One direction, no way back:
//! - [`source`]: files and the live sensor yield [`observation`]s and know nothing of their use
//! - [`ledger`]: the index of the window, without I/O and without a clock
//! - [`campaign`], [`attribution`]: pure functions of the ledger
//! - [`report`]: what they found, as the JSON contract and as tables
//! - [`filter`], [`names`], [`remote`], [`when`]: what people write: filters, names, remotes, times
//! - [`cli`]: a file for each command
//! - [`config`]: what can be configured, and what is wrong with a file
//!
//! The live sensor (feature `live`) adds:
//! - `datapath`: the kernel programs, seen from user space
//! - `netlink`: devices, addresses and routes, and what of it is home
//! - `store`: the memory across restarts
//! - `mark`: how far the ring was brought to the store
//! - `query`: what is asked of the store: probes, contacts, locals, scanners
//! - `agent`: the loop from the ring to ledger and store
//! - `doctor`: what keeps the sensor from seeing all
//! - `socket`, `http`, `metrics`: what others may ask it

pub mod ack;
#[cfg(feature = "live")]
pub mod agent;
pub mod attribution;
pub mod campaign;
pub mod cli;
pub mod config;
#[cfg(feature = "live")]
pub mod datapath;
#[cfg(feature = "live")]
pub mod doctor;
pub mod exclusions;
pub mod filter;
pub mod forget;
#[cfg(feature = "live")]
pub mod http;
pub mod ledger;
#[cfg(feature = "live")]
pub mod mark;
#[cfg(feature = "live")]
pub mod metrics;
pub mod names;
#[cfg(feature = "live")]
pub mod netlink;
pub mod observation;
#[cfg(feature = "live")]
pub mod query;
mod reason;
pub mod remote;
pub mod report;
#[cfg(feature = "live")]
pub mod socket;
pub mod source;
#[cfg(feature = "live")]
pub mod store;
#[cfg(feature = "live")]
mod system_clock;
pub mod time;
#[cfg(feature = "live")]
pub mod told;
pub mod when;
