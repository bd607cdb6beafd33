//! What kernel and user space share: the packet parser, the address classes, the rules that make a
//! packet a contact or a probe, and the records that cross the boundary.
//!
//! The crate is `no_std` and allocates nothing, because [`mod@parse`] and [`rules`] are compiled into
//! the kernel programs as they stand. There is no second parser: a captured packet and a packet on
//! the wire are classified by the same source.
//!
//! # Layout
//! In the order a packet meets them:
//! - [`packet`]: how bytes are read, in one place for each side
//! - [`link`]: from the link layer to the IPv6 header
//! - [`walk`]: along the extension headers to the upper layer
//! - [`mod@parse`]: both together, and what the upper layer is ([`Signal`])
//! - [`give_up`]: every reason to stop early, by name
//! - [`rules`]: contact, probe or neither, over a look-up trait
//! - [`iid`]: what an interface identifier looks like
//! - [`wire`]: records, keys and values in the maps; plain integers, no padding
//! - [`layout`]: a number for all of them, so that only who lays them out alike takes them over
//! - [`names`]: names of programs and maps, once
//!
//! # Byte order
//! Addresses are byte arrays as on the wire. Ports, identifiers and lengths are native integers
//! everywhere: the parser turns them once, and nothing else does.
#![cfg_attr(not(test), no_std)]
// The verifier's `forget` needs inline assembly for a target that Rust calls experimental.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod counters;
pub mod give_up;
pub mod iid;
pub mod layout;
pub mod link;
pub mod names;
pub mod packet;
pub mod parse;
pub mod rules;
pub mod signal;
pub mod walk;
pub mod wire;

pub use give_up::GiveUp;
pub use iid::IidClass;
pub use link::Link;
pub use packet::{Layer, Packet};
pub use parse::{Header, parse};
pub use signal::{Kind, Proto, Signal};
