//! How well Tattler names those who leak, measured on simulated homes whose truth is known.
//!
//! # Layout
//! - [`network`]: the simulator
//! - [`families`]: what is simulated
//! - [`methods`]: what is compared
//! - [`measure`]: what a ranking is worth
//! - [`run`]: a family's networks, simulated and judged
//! - [`limits`], [`statistics`]: figures and how sure they are
//! - [`rows`], [`table`], [`summary`]: the result, for programs and for people

pub mod families;
pub mod limits;
pub mod measure;
pub mod methods;
pub mod network;
pub mod rows;
pub mod run;
pub mod statistics;
pub mod summary;
pub mod table;
