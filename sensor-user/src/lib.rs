//! The binary `tattler`: the sensor, its store, and the command line.
//!
//! What it reasons with is `tattler-core`, what reads and writes files is `tattler-files`.
//!
//! # Layout
//! - [`cli`]: a file for each command
//! - [`config`]: what can be configured, and what is wrong with a file
//!
//! The live sensor (feature `live`) adds:
//! - `datapath`: the kernel programs, seen from user space
//! - `netlink`: devices, addresses and routes
//! - `store`: the memory across restarts
//! - `mark`: how far the ring was brought to the store
//! - `contract`: what may be asked of it
//! - `query`: what is asked of the store: probes, contacts, locals, scanners
//! - `agent`: the loop from the ring to ledger and store
//! - `doctor`: what keeps the sensor from seeing all
//! - `socket`, `http`, `metrics`: what others may ask it

pub mod cli;
pub mod config;

cfg_if::cfg_if! {
    if #[cfg(feature = "live")] {
        pub mod agent;
        pub mod contract;
        pub mod datapath;
        pub mod doctor;
        pub mod http;
        pub mod mark;
        pub mod metrics;
        pub mod netlink;
        pub mod query;
        pub mod socket;
        pub mod store;
        pub mod told;
    }
}
