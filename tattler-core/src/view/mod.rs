//! The ledger as campaigns and attribution read it.
//!
//! # Layout
//! - [`frame`]: the contacts by local and time
//! - [`evidence`]: the evidence class of a probe, by its target

pub mod evidence;
pub mod frame;
