//! Loading programs into the kernel and making network namespaces are root's alone.

use anyhow::{Result, bail};

pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Fails with the line to type instead. sudo resets PATH and HOME, by which rustup finds cargo.
pub fn require(verb: &str, why: &str) -> Result<()> {
    if !is_root() {
        bail!(
            "`cargo xtask {verb}` {why} and needs root: \
             sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask {verb}"
        );
    }
    Ok(())
}
