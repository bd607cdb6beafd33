//! Shared by kernel and user space: the packet parser, the address classes, the rules that make a
//! packet a contact or a probe, and the records that cross the boundary.
//!
//! The crate is `no_std` and allocates nothing, because [`mod@parse`] and [`track`] are compiled into the
//! kernel programs. There is no second parser and no second set of rules: a captured packet and a packet
//! on the wire go through the same source.
//!
//! # Layout
//! In the order of a packet's way:
//! - [`packet`]: how the parser reads bytes
//! - [`link`]: from the link layer to the IPv6 header
//! - [`walk`]: along the extension headers to the upper layer
//! - [`mod@parse`]: both together, and the meaning of the upper layer ([`Signal`])
//! - [`give_up`]: every reason to stop early, by name
//! - [`rules`]: decides: contact, probe or neither
//! - [`track`]: acts on the decision: updates tables, submits events
//! - [`budget`]: how many probes of unused targets make an event
//! - [`counters`]: indices of the counters
//! - [`wire`]: events, keys and values in the maps; plain integers, no padding
//! - [`layout`]: a hash of all record layouts; maps of a program with another hash are not adopted
//! - [`names`]: names of programs and maps
//! - [`iid`]: classes of interface identifiers
//!
//! # Byte order
//! Addresses are byte arrays as on the wire. Ports, identifiers and lengths are native integers. The
//! parser converts them; nothing else does.
#![cfg_attr(not(test), no_std)]
// The verifier's `forget` needs inline assembly for a target that Rust calls experimental.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod budget;
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
pub mod track;
pub mod walk;
pub mod wire;

pub use give_up::GiveUp;
pub use iid::IidClass;
pub use link::Link;
pub use packet::{Layer, Packet};
pub use parse::{Header, parse};
pub use signal::{Kind, Proto, Signal};
