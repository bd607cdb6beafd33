//! Tattler's files: captures, logs and flow records in, observations out; observations to JSON Lines.
//!
//! # Layout
//! In the order the bytes meet them:
//! - [`input`]: a file or standard input, compressed or not, told by its content
//! - [`jsonl`]: observations, one a line
//! - [`text`]: logs and flow records of other programs, line by line; `nfcapd`: through nfdump
//! - [`flow`]: flow records become exchanges, in order
//! - [`capture`]: packets, and the rules that make observations of them
//! - `rules`: what makes observations of packets and exchanges that others saw
//! - [`position`]: how far an input was read
//! - [`read`]: all of a list of inputs, into a [`Sink`]; `find_home`: what is home in them
//!
//! Everything is streamed: memory has a bound, whatever the files hold. What can be read counts;
//! what can't is told as a [`Fault`], so that no part is taken for the whole.

pub mod capture;
mod fault;
mod find_home;
pub mod flow;
pub mod input;
pub mod jsonl;
mod nfcapd;
pub mod position;
mod read;
mod reason;
mod rules;
mod sink;
pub mod text;

pub use fault::{ReadError, Fault, Stop};
pub use input::Input;
pub use position::Position;
pub use read::{ReadOptions, ReadProgress, ReadSummary, each_packet, read, read_into};
pub use reason::reason;
pub use sink::Sink;
