//! What is to be forgotten: a device, a prefix, a time, or what of the first two is in the last.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// What to forget. Without anything set it is nothing, and nobody should ask for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// All of the locals that were ever seen with this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// All with an address in it, inside or outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Ipv6Net>,
    /// Only what was before. Of a contact that went on, its last time stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
}

impl Forget {
    /// An address, a prefix, or else the name of a device.
    #[must_use]
    pub fn parse(text: &str) -> Forget {
        let address = text.parse().map(|address: Ipv6Addr| Ipv6Net::from(address));
        match address.or_else(|_| text.parse::<Ipv6Net>()) {
            Ok(prefix) => Forget { prefix: Some(prefix.trunc()), ..Forget::default() },
            Err(_) => Forget { device: Some(text.to_owned()), ..Forget::default() },
        }
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Forget::default()
    }

    /// Whether an exchange between these two is meant, its time aside. `locals` are those of the
    /// device.
    #[must_use]
    pub fn means(&self, local: Ipv6Addr, remote: Ipv6Addr, locals: &HashSet<Ipv6Addr>) -> bool {
        self.prefix.is_none_or(|prefix| prefix.contains(&local) || prefix.contains(&remote))
            && (self.device.is_none() || locals.contains(&local))
    }
}

/// What was deleted, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Contacts.
    pub contacts: u64,
    /// Contacts that went on, of which only the last time stayed.
    pub clipped: u64,
    /// Probes.
    pub probes: u64,
    /// Answers.
    pub answers: u64,
    /// Acknowledgements.
    pub acks: u64,
    /// Damaged databases that had been set aside: nobody can tell what they hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged_files: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Forgotten {
    /// With what was deleted then.
    #[must_use]
    pub fn and(self, then: Forgotten) -> Forgotten {
        Forgotten {
            contacts: self.contacts + then.contacts,
            clipped: self.clipped + then.clipped,
            probes: self.probes + then.probes,
            answers: self.answers + then.answers,
            acks: self.acks + then.acks,
            damaged_files: self.damaged_files + then.damaged_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_and_no_prefix_is_a_device() {
        assert_eq!(Forget::parse("2001:db8::7/64").prefix.unwrap().to_string(), "2001:db8::/64");
        assert_eq!(Forget::parse("2001:db8::7").prefix.unwrap().to_string(), "2001:db8::7/128");
        assert_eq!(Forget::parse("printer").device.as_deref(), Some("printer"));
        assert!(Forget::default().is_nothing() && !Forget::parse("printer").is_nothing());
    }
}
