//! The ledger as campaigns and attribution see it.
//!
//! # Layout
//! - [`frame`]: the ledger laid out by local and time
//! - [`evidence`]: what a probe proves, by its target

pub mod evidence;
pub mod frame;
