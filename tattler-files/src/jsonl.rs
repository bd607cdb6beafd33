//! Reads and writes observations as JSON Lines.
//!
//! The contract is in docs: `ts`, addresses, `proto` or `kind`, and `port` of protocols with ports are required.
//! Other keys are optional, and unknown keys are ignored. [`text`](super::text) reads the lines, reports each bad
//! line with its number, and skips the bad line.
//!
//! A backup holds more than the contract: answers, and [`BackupEntry`]s, which are separate from observations.

mod backup;
mod line;
pub(crate) mod value;
mod write;

pub use backup::BackupEntry;
pub use line::parse;
pub(super) use line::{Parsed, parse_any};
pub use write::to_json_line;

#[cfg(test)]
mod tests;
