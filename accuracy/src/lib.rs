//! Measures how well Tattler names harvesters, on simulated homes with known truth.
//!
//! # Layout
//! - [`families`]: the homes, which the crate `homes` simulates; [`observe`]: a sensor's observations of these homes
//! - [`methods`]: the compared methods
//! - [`measure`]: the quality of a ranking
//! - [`run`]: simulates and measures the homes of a family
//! - [`limits`]: figures and their confidence limits
//! - [`rows`], [`table`], [`summary`]: the result, for programs and for people

pub mod families;
pub mod limits;
pub mod measure;
pub mod methods;
pub mod observe;
pub mod rows;
pub mod run;
pub mod summary;
pub mod table;
