//! SIGINT and SIGTERM set a flag. A verb that sees the flag returns, so that its drop guards run.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// Catches both signals: from now on they set the flag and do not end the process.
pub fn catch() -> Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let handler = on_signal as extern "C" fn(libc::c_int);
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        if before == libc::SIG_ERR {
            return Err(io::Error::last_os_error()).context("catch SIGINT and SIGTERM");
        }
    }
    Ok(())
}

/// Whether SIGINT or SIGTERM has come.
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Sleeps in small steps until the time `until`. Returns false if `stop` returns true before.
pub fn sleep_until(until: Instant, stop: &dyn Fn() -> bool) -> bool {
    loop {
        if stop() {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}
