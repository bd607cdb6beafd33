//! The kernels, their suites in Debian's archive, and the checks on each.

/// Suites with the kernels. apt skips suites that no longer exist.
pub const SUITES: &[&str] = &["bullseye", "bookworm", "trixie", "trixie-backports", "sid"];

/// The kind of machine that a kernel is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// For virtual machines: small, without PPP.
    Cloud,
    /// For all machines.
    Generic,
}

impl Flavour {
    const fn suffix(self) -> &'static str {
        match self {
            Flavour::Cloud => "-cloud-amd64",
            Flavour::Generic => "-amd64",
        }
    }
}

/// A kernel to run on.
pub struct Kernel {
    /// The series: 6.1.
    pub series: &'static str,
    pub flavour: Flavour,
}

/// The oldest that Tattler supports, those of Debian's releases, the newest, and one between.
pub const KERNELS: &[Kernel] = &[
    Kernel { series: "5.10", flavour: Flavour::Cloud },
    Kernel { series: "6.1", flavour: Flavour::Generic },
    Kernel { series: "6.12", flavour: Flavour::Cloud },
    Kernel { series: "6.18", flavour: Flavour::Cloud },
    Kernel { series: "7.2", flavour: Flavour::Cloud },
];

/// The guest's checks, by the names that it knows.
pub const CHECKS: &[&str] =
    &["programs", "parser", "rules", "veth", "restart", "vlan", "trunk", "6in4", "pppoe", "pppoe-eth"];

/// Cloud kernels have no PPP.
const GENERIC_ONLY: &[&str] = &["pppoe", "pppoe-eth"];

impl Kernel {
    /// The checks that are run here.
    pub fn checks(&self) -> impl Iterator<Item = &'static str> {
        let is_generic = self.flavour == Flavour::Generic;
        CHECKS.iter().copied().filter(move |check| is_generic || !GENERIC_ONLY.contains(check))
    }

    /// The newest package of the series, or of the next series if the archive no longer has this one.
    pub fn choose<'a>(&self, packages: &'a [String]) -> Option<&'a str> {
        let wanted = numbers(self.series);
        let mut found: Vec<(Vec<u32>, &str)> = packages
            .iter()
            .filter_map(|package| {
                let version = package.strip_prefix("linux-image-")?.strip_suffix(self.flavour.suffix())?;
                let is_plain = version.starts_with(|c: char| c.is_ascii_digit())
                    && !["cloud", "rt", "dbg"].iter().any(|word| version.contains(word));
                is_plain.then(|| (numbers(version), package.as_str()))
            })
            .filter(|(version, _)| version.get(..2) >= Some(&wanted))
            .collect();
        let series = found.iter().map(|(version, _)| version[..2].to_vec()).min()?;
        found.retain(|(version, _)| version[..2] == series);
        found.into_iter().max().map(|(_, package)| package)
    }
}

/// The numbers in a version: 6.12.107+deb13 is 6, 12, 107, 13.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Flavour, Kernel};

    fn packages() -> Vec<String> {
        let names = [
            "linux-image-5.10.0-30-amd64",
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-50-rt-amd64",
            "linux-image-6.1.0-51-cloud-amd64",
            "linux-image-6.12.107+deb13-amd64",
            "linux-image-6.12.95+deb12-amd64",
            "linux-image-6.19.14+deb13-amd64",
            "linux-image-7.0.10+deb13-amd64",
            "linux-image-amd64",
        ];
        names.map(str::to_owned).to_vec()
    }

    fn chosen(series: &'static str) -> Option<String> {
        Kernel { series, flavour: Flavour::Generic }.choose(&packages()).map(str::to_owned)
    }

    #[test]
    fn the_newest_of_a_series_and_flavour_is_chosen() {
        assert_eq!(chosen("6.1").as_deref(), Some("linux-image-6.1.0-50-amd64"));
        assert_eq!(chosen("6.12").as_deref(), Some("linux-image-6.12.107+deb13-amd64"));
        let cloud = Kernel { series: "6.1", flavour: Flavour::Cloud };
        assert_eq!(cloud.choose(&packages()), Some("linux-image-6.1.0-51-cloud-amd64"));
    }

    #[test]
    fn the_next_series_replaces_one_that_is_gone() {
        assert_eq!(chosen("6.18").as_deref(), Some("linux-image-6.19.14+deb13-amd64"));
        assert_eq!(chosen("7.2"), None);
    }
}
