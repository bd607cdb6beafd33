//! The packets of a capture file, and the rules that turn packets into observations.
//!
//! # Layout
//! - `bytes`: integers in the byte order of the file, and the part of a frame that the parser reads
//! - `pcap`, `pcapng`: the two formats
//! - `link_type`: the link-layer header of a frame
//! - `frames`: the frames of a capture in either format
//! - [`trace`]: a parsed frame, with the layers that the parser passed
//! - `packets`: all frames of a capture, after parsing
//! - [`home`]: infers the home prefix
//! - `watch`: the kernel's rules; `memory`: the tables of these rules
//!
//! We parse the formats ourselves. `pcap-file` refuses frames longer than the snapshot length, but some tools write
//! such frames. `pcap-parser` reads resolutions in powers of two and big-endian time offsets wrongly, and needs each
//! whole block in memory.

mod bytes;
mod frames;
pub mod home;
mod link_type;
mod memory;
mod packets;
mod pcap;
mod pcapng;
pub mod trace;
mod watch;

pub use frames::{CapturedFrame, Frames};
pub use link_type::{Framing, LinkType};
pub use packets::Packets;
pub use watch::PacketObserver;

/// Nanoseconds since 1970.
pub type Nanos = i64;
