//! Checks for root. Only root may load programs into the kernel and make network namespaces.

use anyhow::{Result, bail};

pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Fails unless root runs xtask. The error names the command to run instead. sudo resets PATH and HOME, which rustup
/// needs to find cargo.
pub fn require(verb: &str, why: &str) -> Result<()> {
    if !is_root() {
        let command = format!("sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask {verb}");
        bail!("`cargo xtask {verb}` {why} and needs root: {command}");
    }
    Ok(())
}
