//! Logs and flow records of other programs, in seven dialects.
//!
//! # Layout
//! - [`lines`]: the lines of an input
//! - `dialect`: the dialect of a text, from its first lines
//! - `clock`: time zones, and the year where a log has none
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
    /// A line of a backup that is no observation.
    Backup(BackupEntry),
    /// A packet, for the rules.
    Packet(LoggedPacket),
    /// Both directions of an exchange.
    Flow(FlowRecord),
    /// One direction of an exchange.
    Half(FlowHalf),
    /// Nothing of interest: a header, IPv4, or a line of another program.
    Nothing,
}

/// A packet that another program logged.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedPacket {
    /// Its time.
    pub ts: Time,
    /// Its header. Unknown fields are 0.
    pub header: Header,
    /// The traits that the log has.
    pub traits: Traits,
}
