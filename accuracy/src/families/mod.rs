//! The families of networks, one file for each theme.

mod chance;
mod changes;
mod clean;
mod crowds;
mod groups;
mod lags;
mod leaks;
mod main_ones;
mod rivals;
mod scanners;
#[cfg(test)]
mod tests;

use crate::network::plan::Plan;
use crate::network::size::Size;

/// What may be said in a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Its harvesters can be found: counts for average precision.
    Rank,
    /// Nobody is to be named.
    Nobody,
    /// Nobody is to be called strong. To suspect somebody is no mistake, to stay silent is better.
    NotStrong,
    /// The data are those of a leak. What is said is shown, and counts for nothing.
    Undecidable,
}

/// How hard it is by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Lags up to hours.
    Hours,
    /// Lags of days, or few contacts that leak.
    Hard,
    /// No harvester to be found.
    None,
}

/// One family.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What may be said.
    pub expect: Expect,
    /// How hard it is.
    pub class: Class,
    /// A network in which nobody leaks and nobody frames.
    pub clean: bool,
    /// One harvester and a fast lag: it is measured after how many probed addresses it is first.
    pub replayed: bool,
    /// What is simulated.
    pub plan: fn(Size) -> Plan,
}

impl Family {
    const fn rank(name: &'static str, about: &'static str, plan: fn(Size) -> Plan) -> Family {
        Family { name, about, expect: Expect::Rank, class: Class::Hours, clean: false, replayed: false, plan }
    }

    const fn hard(self) -> Family {
        Family { class: Class::Hard, ..self }
    }

    const fn replayed(self) -> Family {
        Family { replayed: true, ..self }
    }

    const fn without(name: &'static str, about: &'static str, expect: Expect, plan: fn(Size) -> Plan) -> Family {
        Family { name, about, expect, class: Class::None, clean: false, replayed: false, plan }
    }

    const fn clean(name: &'static str, about: &'static str, plan: fn(Size) -> Plan) -> Family {
        Family { name, about, expect: Expect::Nobody, class: Class::None, clean: true, replayed: false, plan }
    }
}

/// All families, in the order of tables.
#[must_use]
pub fn all() -> Vec<Family> {
    [
        main_ones::FAMILIES,
        leaks::FAMILIES,
        lags::FAMILIES,
        chance::FAMILIES,
        groups::FAMILIES,
        scanners::FAMILIES,
        crowds::FAMILIES,
        changes::FAMILIES,
        rivals::FAMILIES,
        clean::FAMILIES,
    ]
    .concat()
}

/// The family with a name.
#[must_use]
pub fn named(name: &str) -> Option<Family> {
    all().into_iter().find(|family| family.name == name)
}
