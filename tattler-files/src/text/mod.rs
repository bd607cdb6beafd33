//! Text in many dialects: firewall logs, flow records and connection logs of other programs.
//!
//! # Layout
//! - [`lines`]: lines of an input
//! - `dialect`: which dialect a text is in, by its first line that tells
//! - `clock`: zones, and years that nobody wrote
//! - `kernel`, `conntrack`: packets, more or less
//! - `zeek`, `eve`, `nfdump`: flows
//! - `json`, `number`: what lines in JSON, and numbers and addresses, have in common
//! - [`read`]: all lines of an input

mod clock;
mod conntrack;
mod dialect;
mod eve;
mod json;
mod kernel;
pub mod lines;
pub(super) mod nfdump;
mod number;
mod read;
mod zeek;

use sensor_common::Header;

pub use clock::LogClock;
pub use dialect::Dialect;
pub use read::{LineCounts, LineSinks, read};

use tattler_core::observation::{Observation, Traits};
use tattler_core::time::Time;

use super::flow::{FlowHalf, FlowRecord};
use super::jsonl::BackupEntry;

/// What a line holds.
#[derive(Clone, Debug, PartialEq)]
pub enum LineItem {
    /// An observation as it stands.
    Observation(Observation),
    /// What a backup holds beside observations.
    Backup(BackupEntry),
    /// A packet, for the rules.
    Packet(LoggedPacket),
    /// Both directions of an exchange.
    Flow(FlowRecord),
    /// One direction of an exchange.
    Half(FlowHalf),
    /// Nothing of interest: a header, IPv4, another program's line.
    Nothing,
}

/// A packet that somebody else saw.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedPacket {
    /// When.
    pub ts: Time,
    /// As far as it is known; what is not is 0.
    pub header: Header,
    /// What is known for certain.
    pub traits: Traits,
}

/// A stranger's bytes in one line of a bounded length.
fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    let short: String = text.chars().take(40).collect();
    format!("{short:?}{}", if short.len() < bytes.len() { "…" } else { "" })
}
