//! The families of simulated homes.

mod list;
#[cfg(test)]
mod tests;

use homes::{HomePlan, HomeSize};

/// The correct result for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Its harvesters can be found: it counts for average precision.
    Rank,
    /// No remote is to be named.
    Nobody,
    /// No remote is to be called strong. To suspect one is no mistake, though none is better.
    NotStrong,
    /// The data are those of a leak. The result is shown, but not counted.
    Undecidable,
}

/// Homes that have the same plan.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// A description.
    pub about: &'static str,
    /// The correct result.
    pub expect: Expect,
    /// Its harvesters are hard to find: lags of days, or few contacts that leak.
    pub hard: bool,
    /// No remote leaks, and nothing looks as if one did.
    pub clean: bool,
    /// Also measured: the number of probed addresses after which the harvester ranks first. It needs one harvester
    /// and a short lag.
    pub replayed: bool,
    /// The plan of its homes.
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

/// The family with a name.
#[must_use]
pub fn named(name: &str) -> Option<Family> {
    all().iter().copied().find(|family| family.name == name)
}
