//! Helpers that the integration tests share: network namespaces, the sensor in one of them, and
//! traffic through them. They panic where a test can't go on.
//!
//! # Layout
//! - [`captures`]: the directory of captures from elsewhere
//! - [`dial`]: connections from an address and a port of choice
//! - [`disk`]: disks that fill up, refuse, fail and stall
//! - [`programs`]: finding and running the binaries under test and the tools
//! - [`daemon`]: a program that runs in the background of a test
//! - [`frames`]: frames of captures and of our own, and both with changes
//! - [`kernel`]: the kernel programs by test-run
//! - [`manager`]: a service manager in a container
//! - [`namespace`]: a network namespace that is deleted with its guard
//! - [`numbered`]: numbered packets, so that a missing one is noticed
//! - [`world`]: a home, its router and an internet
//! - [`sensor`]: `tattler run`, and queries to it
//! - [`stored`]: the rows in a sensor's database
//! - [`tracker`]: a tracker of torrents
//! - [`traffic`]: clients, servers and raw frames
//! - [`watcher`]: the programs and a ledger, on a clock that can be advanced

pub mod captures;
pub mod daemon;
pub mod dial;
pub mod disk;
pub mod frames;
pub mod kernel;
pub mod manager;
pub mod namespace;
pub mod numbered;
pub mod programs;
pub mod sensor;
pub mod stored;
pub mod tracker;
pub mod traffic;
pub mod watcher;
pub mod world;

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks until there is an answer.
///
/// # Panics
/// When there is none within ten seconds.
#[track_caller]
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(10, what, ask)
}

/// Asks until there is an answer, for what takes its time.
///
/// # Panics
/// When there is none within these seconds.
#[track_caller]
pub fn within<T>(seconds: u64, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patiently(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {seconds} seconds: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// So many seconds, multiplied by TATTLER_PATIENCE on machines that are slow for a known reason.
#[must_use]
pub fn patiently(seconds: u64) -> Duration {
    let times = std::env::var("TATTLER_PATIENCE").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds * times)
}
