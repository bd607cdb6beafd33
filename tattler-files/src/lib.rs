//! Reads captures, logs and flow records into observations; reads and writes observations as JSON Lines.
//!
//! # Layout
//! Parts in the order in which the bytes pass through:
//! - [`input`]: a file or standard input, compressed or not; format detection by content
//! - [`jsonl`]: observations as JSON Lines
//! - [`text`]: logs and flow records of other programs, line by line; `nfcapd`: files that nfdump reads
//! - [`flow`]: turns flow records into exchanges, in order of time
//! - [`capture`]: packets of captures, and the rules for these packets
//! - `rules`: turns logged packets and flow records into observations
//! - [`position`], `reached`: the position up to which an input was read
//! - [`read_into`]: reads a list of inputs into a [`Sink`]; `find_home`: infers the home prefix
//!
//! All inputs are streamed, so memory has a bound for files of any size. A part that can't be read is reported as a
//! [`Fault`], and the other parts count.

pub mod capture;
mod fault;
mod find_home;
pub mod flow;
pub mod input;
pub mod jsonl;
mod nfcapd;
mod open;
mod options;
pub mod position;
mod progress;
mod reached;
mod read;
mod rules;
mod sink;
pub mod text;

pub use fault::{Fault, ReadError, Stop, reason};
pub use input::Input;
pub use options::{ReadOptions, ReadProgress};
pub use position::Position;
pub use read::{ReadSummary, read, read_into};
pub use sink::Sink;
