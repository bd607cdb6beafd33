//! Reads captures, logs and flow records into observations; reads and writes observations as JSON Lines.
//!
//! # Layout
//! In the order in which the bytes pass:
//! - [`input`]: a file or standard input, compressed or not; its format, from its content
//! - [`jsonl`]: observations as JSON Lines
//! - [`text`]: logs and flow records of other programs, line by line; `nfcapd`: files that nfdump reads
//! - [`flow`]: flow records become exchanges, in order of time
//! - [`capture`]: packets of captures, and the rules
//! - `rules`: logged packets and flow records become observations
//! - [`position`], `reached`: how far an input was read
//! - [`read_into`]: reads a list of inputs into a [`Sink`]; `find_home`: infers the home prefix
//!
//! All inputs are streamed, so memory has a bound for files of any size. A part that can't be read is
//! reported as a [`Fault`], and the rest counts.

pub mod capture;
mod fault;
mod find_home;
pub mod flow;
pub mod input;
pub mod jsonl;
mod nfcapd;
mod open;
pub mod position;
mod progress;
mod reached;
mod read;
mod rules;
mod sink;
pub mod text;

pub use fault::{Fault, ReadError, Stop, reason};
pub use input::Input;
pub use position::Position;
pub use progress::ReadProgress;
pub use read::{ReadOptions, ReadSummary, read, read_into};
pub use sink::Sink;
