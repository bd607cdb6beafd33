//! The binary `tattler`: the sensor, its store, and the command line.
//!
//! `tattler-core` holds the reasoning, `tattler-files` reads and writes files.
//!
//! # Layout
//! - [`cli`]: a file for each command
//! - [`config`]: the configuration and its problems
//!
//! The live sensor (feature `live`) adds:
//! - `datapath`: loads, attaches and reads the kernel programs
//! - `netlink`: devices, addresses and routes
//! - `store`: the database
//! - `device_names`: the configured names of devices, by the identifiers of one store
//! - `mark`: the position in the ring up to which events are stored
//! - `contract`: requests and answers
//! - `query`: probes, contacts, locals and scanners from the store
//! - `agent`: the loop from the ring to ledger and store
//! - `doctor`: finds what keeps the sensor from seeing all packets
//! - `accept`, `socket`, `http`, `metrics`: the query socket, and the listener for Prometheus

pub mod cli;
pub mod config;

cfg_if::cfg_if! {
    if #[cfg(feature = "live")] {
        mod accept;
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
        pub mod device_names;
        mod system_clock;
    }
}
