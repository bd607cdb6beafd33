//! Files in, observations out.
//!
//! # Layout
//! In the order the bytes meet them:
//! - [`input`]: a file or standard input, compressed or not, told by its content
//! - [`jsonl`]: observations, one a line
//! - [`capture`]: packets, and the rules that make observations of them
//! - [`read`]: all of a list of inputs
//!
//! Everything is streamed: memory has a bound, whatever the files hold. What can be read counts;
//! what can't is told as a [`Fault`], so that no part is taken for the whole.

pub mod capture;
mod fault;
pub mod input;
pub mod jsonl;
#[cfg(feature = "live")]
pub mod live;
mod read;

pub use fault::{Error, Fault, Stop};
pub use input::Input;
pub use read::{Options, Summary, each_packet, read};
