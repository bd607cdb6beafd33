//! Helpers of the integration tests: network namespaces, the sensor in one of them, and traffic through them. They
//! panic where a test can't go on.

pub mod captures;
pub mod daemon;
pub mod dial;
pub mod disk;
pub mod frames;
pub mod kernel;
pub mod manager;
pub mod namespace;
pub mod numbered;
pub mod others;
pub mod programs;
pub mod sensor;
pub mod stored;
pub mod tracker;
pub mod traffic;
pub mod watcher;
pub mod world;

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks until there is an answer, for ten seconds.
#[track_caller]
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(10, what, ask)
}

/// Asks until there is an answer, for this many seconds.
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

/// This many seconds, multiplied by TATTLER_PATIENCE, which is set on slow machines.
pub fn patiently(seconds: u64) -> Duration {
    let times = std::env::var("TATTLER_PATIENCE").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds * times)
}
