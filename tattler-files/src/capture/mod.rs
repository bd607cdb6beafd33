//! Packets of a capture file, and the rules that make observations of them.
//!
//! # Layout
//! - `bytes`: integers in the file's byte order, and no more of a frame than the parser reads
//! - `pcap`, `pcapng`: the records of the two formats
//! - `link_type`: what a frame begins with
//! - `frames`: frames one after the other, whatever the format
//! - [`trace`]: a frame through the parser, with the layers on the way
//! - [`home`]: which prefix is home, where nobody says
//! - `memory`, `watch`: the kernel's rules over what user space remembers
//!
//! The formats are read here and not by a crate: `pcap-file` refuses frames that are longer than
//! the snapshot length says, which some tools write; `pcap-parser` reads resolutions in powers of
//! two and big-endian time offsets wrongly, and wants every block in memory whole.

mod bytes;
mod frames;
pub mod home;
mod link_type;
mod memory;
mod pcap;
mod pcapng;
pub mod trace;
mod watch;

pub use frames::{CapturedFrame, Frames};
pub use link_type::{Framing, LinkType};
pub use watch::PacketObserver;

/// Nanoseconds since 1970.
pub type Nanos = i64;
