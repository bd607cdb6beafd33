//! The core of Tattler: who told the scanners about an address, worked out from observations.
//!
//! Nothing here reads a file, a socket or a clock, or knows the kernel: observations and times come in,
//! values go out. `Cargo.toml` and `clippy.toml` keep it so.
//!
//! # Layout
//! Each module uses only modules above it in this list:
//! - [`time`], [`when`], [`words`]: times and spans; how people write them, and other words for people
//! - [`observation`]: contact, probe, answer; [`event`]: makes them of the kernel's events
//! - [`names`], [`remote`], [`exclusions`], [`forget`], [`ack`]: what the user says of devices and remotes
//! - [`home`]: which prefixes are ours
//! - [`filter`]: the language of all queries
//! - [`ledger`]: the index of the window
//! - [`view`]: the ledger laid out for those who reason about it, and what each probe proves
//! - [`campaign`]: sources that act as one scanner
//! - [`attribution`]: which earlier contact explains the probes
//! - [`report`]: what was found, as the JSON contract and as tables
//! - [`explain`]: the evidence about one remote, in words
//! - [`live_report`]: report and explanation of a ledger that goes on

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
