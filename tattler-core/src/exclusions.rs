//! Exclusions: observations that neither the ledger nor the store ever records.

use ipnet::Ipv6Net;
use sensor_common::Proto;

use crate::observation::Observation;

/// Devices, remotes and ports whose observations are not recorded. Empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions {
    /// Devices, by the identifiers that observations contain.
    pub devices: Vec<String>,
    /// Remotes: addresses or prefixes.
    pub remotes: Vec<Ipv6Net>,
    /// Ports: the remote's port of a contact, the target's port of a probe. ICMPv6 has no ports.
    pub ports: Vec<Port>,
}

/// An excluded port: `5060` for TCP and UDP, or `"tcp/25"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The protocol, TCP or UDP; `None`: both.
    pub proto: Option<Proto>,
    /// The port number.
    pub number: u16,
}

impl Port {
    fn is(&self, proto: Proto, number: u16) -> bool {
        self.number == number && self.proto.is_none_or(|own| own == proto)
    }
}

impl Exclusions {
    /// Whether the observation is excluded, according to its own fields.
    #[must_use]
    pub fn excludes(&self, observation: &Observation) -> bool {
        self.excludes_of(observation, None)
    }

    /// Same as [`Exclusions::excludes`], for a caller that knows the device of the local: an answer does not contain
    /// the device.
    #[must_use]
    pub fn excludes_of(&self, observation: &Observation, owner: Option<&str>) -> bool {
        let (remote, proto, port, device) = match observation {
            Observation::Contact(contact) => (contact.remote, contact.proto, contact.port, contact.device.as_deref()),
            Observation::Probe(probe) => (probe.source, probe.kind.proto(), probe.port, probe.device.as_deref()),
            Observation::Answer(answer) => (answer.source, answer.kind.proto(), answer.port, None),
        };
        let is_excluded = |name: Option<&str>| name.is_some_and(|name| self.devices.iter().any(|d| d == name));
        is_excluded(device)
            || is_excluded(owner)
            || proto != Proto::Icmpv6 && self.ports.iter().any(|excluded| excluded.is(proto, port))
            || self.remotes.iter().any(|prefix| prefix.contains(&remote))
    }
}

#[cfg(test)]
mod tests {
    use sensor_common::Kind;

    use super::*;
    use crate::observation::{Answer, Contact, Probe};
    use crate::time::Time;

    fn observations(remote: &str, port: u16, device: Option<&str>) -> [Observation; 3] {
        let (ts, local, remote) = (Time(1), "2001:db8::1".parse().unwrap(), remote.parse().unwrap());
        let (device, kind, proto) = (device.map(str::to_owned), Kind::Syn, Proto::Tcp);
        let (source, target) = (remote, local);
        [
            Observation::Contact(Contact { device: device.clone(), ..Contact::new(ts, local, remote, proto, port) }),
            Observation::Probe(Probe { device, ..Probe::new(ts, source, target, kind, port) }),
            Observation::Answer(Answer { ts, source, target, kind, port }),
        ]
    }

    #[test]
    fn only_the_listed_devices_remotes_and_ports_are_excluded() {
        let exclusions = Exclusions {
            devices: vec!["diary".into()],
            remotes: ["2a00:1::/32", "2a05::53/128"].map(|prefix| prefix.parse().unwrap()).to_vec(),
            ports: vec![Port { proto: None, number: 5_060 }, Port { proto: Some(Proto::Udp), number: 25 }],
        };
        let all = |remote, port, device| observations(remote, port, device).map(|o| exclusions.excludes(&o));
        assert_eq!(all("2a00:1:ffff::1", 443, None), [true; 3]);
        assert_eq!(all("2a05::53", 443, None), [true; 3]);
        assert_eq!(all("2a05::54", 443, None), [false; 3]);
        assert_eq!(all("2a05::54", 5060, None), [true; 3]);
        assert_eq!(all("2a05::54", 25, None), [false; 3], "only for UDP");
        assert_eq!(all("2a05::54", 443, Some("printer")), [false; 3]);
        // An answer does not contain a device; the caller may pass the device.
        assert_eq!(all("2a05::54", 443, Some("diary")), [true, true, false]);
        let [_, _, answer] = observations("2a05::54", 443, None);
        assert!(exclusions.excludes_of(&answer, Some("diary")));
    }
}
