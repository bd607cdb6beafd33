//! Reads and writes observations as JSON Lines.
//!
//! The contract is in docs: `ts`, addresses, `proto` or `kind`, and `port` of protocols with ports are
//! required. Other keys are optional, and unknown keys are ignored. [`text`](super::text) reads the
//! lines; it reports a bad line with its number and skips it.
//!
//! A backup holds more than the contract: answers, and [`BackupEntry`]s, which are no observations.

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
