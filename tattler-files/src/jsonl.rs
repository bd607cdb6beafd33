//! Observations as JSON Lines, read and written.
//!
//! The contract is in docs: `ts`, addresses, `proto` or `kind`, and `port` where there is one are
//! required, the rest is optional, and what is not known is ignored. A line that breaks it is told
//! with its number and skipped: [`text`](super::text) reads the lines.
//!
//! A backup holds more than observations of the contract: answers, and [`BackupEntry`]s, which are no
//! observations and are handed out apart.

mod aside;
mod line;
mod value;
mod write;

pub use aside::{BackupEntry, backup_entry_to_json_line};
pub use line::parse;
pub(super) use line::{Parsed, parse_any};
pub use write::to_json_line;

#[cfg(test)]
pub(crate) mod tests;
