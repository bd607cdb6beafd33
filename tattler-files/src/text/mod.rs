//! Logs and flow records of other programs, in seven dialects.
//!
//! # Layout
//! - [`lines`]: the lines of an input
//! - `dialect`: the dialect of a text, from its first lines
//! - `clock`: time zones, and the year in logs without years
//! - `kernel`, `conntrack`: packets
//! - `zeek`, `eve`, `nfdump`: flows
//! - `json`, `fields`: helpers of several dialects
//! - [`TextReader`]: reads all lines of an input

mod clock;
mod conntrack;
mod dialect;
mod eve;
mod fields;
pub(super) mod json;
mod kernel;
pub mod lines;
pub(super) mod nfdump;
mod read;
mod zeek;

use sensor_common::Header;

pub use clock::LogClock;
pub use dialect::Dialect;
pub use read::{LineCounts, TextReader};

use tattler_core::observation::{Observation, Traits};
use tattler_core::time::Time;

use super::flow::{FlowHalf, FlowRecord};
use super::jsonl::BackupEntry;

/// The content of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum LineItem {
    /// An observation.
    Observation(Observation),
    /// A line of a backup without an observation.
    Backup(BackupEntry),
    /// A packet. The rules decide whether the packet makes an observation.
    Packet(LoggedPacket),
    /// Both directions of an exchange.
    Flow(FlowRecord),
    /// One direction of an exchange.
    Half(FlowHalf),
    /// Nothing of interest: a header, IPv4, or a line from another program.
    Nothing,
}

/// A packet that another program logged.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedPacket {
    /// Time of the packet.
    pub ts: Time,
    /// Header of the packet. Unknown fields are 0.
    pub header: Header,
    /// Traits that the log records.
    pub traits: Traits,
}
