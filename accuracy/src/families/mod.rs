//! The families of simulated homes.

mod list;
#[cfg(test)]
mod tests;

use homes::{HomePlan, HomeSize};

/// The correct result for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The harvesters can be found, so the family counts for average precision.
    Rank,
    /// The correct report names no remote.
    Nobody,
    /// The correct report calls no remote strong. A suspected remote is not a mistake, but no suspected remote is
    /// better.
    NotStrong,
    /// The data look the same as the data of a real leak. The result is shown, but not counted.
    Undecidable,
}

/// Homes that have the same plan.
#[derive(Clone, Copy)]
pub struct Family {
    /// Name of the family on the command line and in tables.
    pub name: &'static str,
    /// A description.
    pub about: &'static str,
    /// The correct result.
    pub expect: Expect,
    /// Whether the harvesters are hard to find: lags of days, or few contacts that leak.
    pub hard: bool,
    /// Whether the homes have no leak and nothing that looks like a leak.
    pub clean: bool,
    /// Whether a replay also measures the number of probed addresses after which the harvester ranks first. A replay
    /// needs one harvester and a short lag.
    pub replayed: bool,
    /// The plan of the family's homes.
    pub plan: fn(HomeSize) -> HomePlan,
}

impl Family {
    pub(crate) const fn rank(name: &'static str, about: &'static str, plan: fn(HomeSize) -> HomePlan) -> Family {
        Family { name, about, expect: Expect::Rank, hard: false, clean: false, replayed: false, plan }
    }

    const fn hard(self) -> Family {
        Family { hard: true, ..self }
    }

    const fn replayed(self) -> Family {
        Family { replayed: true, ..self }
    }

    const fn without(
        name: &'static str,
        about: &'static str,
        expect: Expect,
        plan: fn(HomeSize) -> HomePlan,
    ) -> Family {
        Family { expect, ..Family::rank(name, about, plan) }
    }

    pub(crate) const fn clean(name: &'static str, about: &'static str, plan: fn(HomeSize) -> HomePlan) -> Family {
        Family { clean: true, ..Family::without(name, about, Expect::Nobody, plan) }
    }
}

/// All families, in the order of tables.
#[must_use]
pub fn all() -> &'static [Family] {
    list::FAMILIES
}

/// The family with this name.
#[must_use]
pub fn named(name: &str) -> Option<Family> {
    all().iter().copied().find(|family| family.name == name)
}
