//! The core of Tattler: determines from observations which remote passed an address on to scanners.
//!
//! The core does no I/O, reads no clock and does not depend on the kernel: it receives observations
//! and times, and returns values. `Cargo.toml` and `clippy.toml` enforce this.
//!
//! # Layout
//! Each module uses only modules that come before it in this list:
//! - [`time`], [`when`], [`words`]: times and spans, their written form, numbers and lists in prose
//! - [`observation`]: contact, probe, answer; [`event`]: converts events of the kernel to
//!   observations
//! - [`names`], [`remote`], [`exclusions`], [`forget`], [`ack`]: the user's settings and requests about
//!   devices and remotes
//! - [`home`]: the prefixes that are ours
//! - [`filter`]: the language of all queries
//! - [`ledger`]: the in-memory index of the window
//! - [`view`]: the ledger arranged for attribution, and the evidence class of each probe
//! - [`campaign`]: sources that act as one scanner
//! - [`attribution`]: the earlier contact that explains the probes
//! - [`report`]: the result of attribution, as the JSON contract and as tables
//! - [`explain`]: the evidence about a single remote, in sentences
//! - [`live_report`]: report and explanation of a ledger that changes continuously

#![cfg_attr(test, expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests measure times"))]

pub mod ack;
pub mod attribution;
pub mod campaign;
pub mod event;
pub mod exclusions;
pub mod explain;
pub mod filter;
pub mod forget;
pub mod home;
pub mod ledger;
pub mod live_report;
pub mod names;
pub mod observation;
pub mod remote;
pub mod report;
pub mod time;
pub mod view;
pub mod when;
pub mod words;
