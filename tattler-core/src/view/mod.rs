//! The view of the ledger for campaigns and attribution.
//!
//! # Layout
//! - [`frame`]: the contacts by local and time
//! - [`evidence`]: the evidence class of a probe, which depends on its target

pub mod evidence;
pub mod frame;
