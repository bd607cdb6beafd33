//! Observations as JSON Lines, read and written.
//!
//! The contract is in docs: `ts`, addresses, `proto` or `kind`, and `port` where there is one are
//! required, the rest is optional, and what is not known is ignored. A line that breaks it is told
//! with its number and skipped: [`text`](super::text) reads the lines.

mod line;
mod value;
mod write;

pub use line::parse;
pub use write::to_json_line;

#[cfg(test)]
mod tests;
