//! Looks at a machine, says what keeps the sensor from seeing all, and what to do.
//!
//! It changes nothing, and sends nothing but a question to what is on the listen address. It loads the kernel programs, since only the verifier knows
//! whether it takes them, but attaches none.
//!
//! # Layout
//! - [`kernel`]: version, compiler, programs, capabilities
//! - [`network`]: uplinks, XDP modes, offloads, IPv6, home
//! - [`machine`]: clock, disk, state directory, socket, listen address

mod kernel;
mod machine;
mod network;

use serde::Serialize;

use crate::config::Config;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and could be better or surprise somebody.
    Note,
    /// Keeps the sensor from working, or from seeing what it should.
    Problem,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Problem => "problem",
        }
    }
}

/// What was looked at, and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: one or two words.
    pub name: String,
    /// How it came out.
    pub level: Level,
    /// How it is, in one line.
    pub found: String,
    /// What to do, unless it is as it should be.
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

/// Looks at everything, for a sensor with this configuration.
pub async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = kernel::checks();
    checks.extend(network::checks(config).await);
    checks.extend(machine::checks(config));
    checks
}
