//! How well Tattler names those who leak, measured on simulated homes whose truth is known.
//!
//! # Layout
//! - [`network`]: the simulator
//! - [`families`]: what is simulated
//! - [`methods`]: what is compared
//! - [`measure`]: what a ranking is worth

pub mod families;
pub mod measure;
pub mod methods;
pub mod network;
