//! Selection of rows to forget: a device, a prefix, a time, or a device or prefix before a time.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Selection of rows to forget. A selection without any field selects nothing; callers refuse such
/// a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// All rows of locals that were ever seen with this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// All rows with a local or a remote in this prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Ipv6Net>,
    /// Only rows before this time. A contact that continued after this time keeps its last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
}

impl Forget {
    /// Reads an address or a prefix; any other text is the name of a device.
    #[must_use]
    pub fn parse(text: &str) -> Forget {
        let address = text.parse().map(|address: Ipv6Addr| Ipv6Net::from(address));
        match address.or_else(|_| text.parse::<Ipv6Net>()) {
            Ok(prefix) => Forget { prefix: Some(prefix.trunc()), ..Forget::default() },
            Err(_) => Forget { device: Some(text.to_owned()), ..Forget::default() },
        }
    }

    /// Whether no field is set.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Forget::default()
    }

    /// Whether an exchange between `local` and `remote` matches, whatever its time. `locals`: the
    /// addresses of the device.
    #[must_use]
    pub fn means(&self, local: Ipv6Addr, remote: Ipv6Addr, locals: &HashSet<Ipv6Addr>) -> bool {
        self.prefix.is_none_or(|prefix| prefix.contains(&local) || prefix.contains(&remote))
            && (self.device.is_none() || locals.contains(&local))
    }
}

/// Numbers of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Number of deleted contacts.
    pub contacts: u64,
    /// Number of contacts that continued: only their last time is kept.
    pub clipped: u64,
    /// Number of deleted probes.
    pub probes: u64,
    /// Number of deleted answers.
    pub answers: u64,
    /// Number of deleted acknowledgements.
    pub acks: u64,
    /// Number of deleted databases: damaged databases that had been moved out of the way. Their
    /// content can't be searched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged_files: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Forgotten {
    /// The sums of the numbers of two deletions.
    #[must_use]
    pub fn and(self, other: Forgotten) -> Forgotten {
        Forgotten {
            contacts: self.contacts + other.contacts,
            clipped: self.clipped + other.clipped,
            probes: self.probes + other.probes,
            answers: self.answers + other.answers,
            acks: self.acks + other.acks,
            damaged_files: self.damaged_files + other.damaged_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_address_or_prefix_names_a_device() {
        assert_eq!(Forget::parse("2001:db8::7/64").prefix.unwrap().to_string(), "2001:db8::/64");
        assert_eq!(Forget::parse("2001:db8::7").prefix.unwrap().to_string(), "2001:db8::7/128");
        assert_eq!(Forget::parse("printer").device.as_deref(), Some("printer"));
        assert!(Forget::default().is_nothing() && !Forget::parse("printer").is_nothing());
    }
}
