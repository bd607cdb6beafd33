//! Checks a machine for everything that prevents the sensor from seeing all packets, and says what to do.
//!
//! It changes nothing, and sends only a request to the listen address. It loads the kernel programs, because only the
//! verifier can tell whether it accepts them, and attaches none.

mod kernel;
mod machine;
mod network;

use serde::Serialize;

use crate::config::Config;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// Works, but could be better or surprise users.
    Note,
    /// Prevents the sensor from working or from seeing everything.
    Problem,
}

impl Level {
    /// The word in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Problem => "problem",
        }
    }
}

/// A check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in one or two words.
    pub name: String,
    /// The result.
    pub level: Level,
    /// The state, in one line.
    pub found: String,
    /// What to do, unless the level is ok.
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: impl Into<String>, found: impl Into<String>) -> Check {
        Check { name: name.into(), level: Level::Ok, found: found.into(), advice: None }
    }

    fn note(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { name: name.into(), level: Level::Note, found: found.into(), advice: Some(advice.into()) }
    }

    fn problem(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { name: name.into(), level: Level::Problem, found: found.into(), advice: Some(advice.into()) }
    }
}

/// Runs all checks for a sensor with this configuration.
pub async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = kernel::checks();
    checks.extend(network::checks(config).await);
    checks.extend(machine::checks(config));
    checks
}
