//! The rustc that compiles the kernel programs, as sensor-user's build finds it.

#[path = "../../../sensor-user/build/compiler.rs"]
#[allow(dead_code, reason = "sensor-user calls the rest")]
mod pinned;

pub use pinned::{Compiler, NIGHTLY};

/// Debian's rustc for its browsers, with its sources; all come from one source package.
pub const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
