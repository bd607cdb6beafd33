//! What is never recorded: neither in the ledger nor in the store.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::Proto;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::observation::Observation;

/// Devices, remotes and ports that nothing is to be known of. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exclusions {
    /// Devices, by the names that observations give them.
    pub devices: Vec<String>,
    /// Remotes: addresses or prefixes.
    #[serde(deserialize_with = "prefixes")]
    pub remotes: Vec<Ipv6Net>,
    /// Ports: the remote's in a contact, the target's in a probe. Echo has none.
    pub ports: Vec<Port>,
}

/// A port that is excluded: `5060` of TCP and UDP, or `"tcp/25"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// TCP or UDP; `None`: both.
    pub proto: Option<Proto>,
    /// Its number.
    pub number: u16,
}

impl Port {
    fn is(&self, proto: Proto, number: u16) -> bool {
        self.number == number && self.proto.is_none_or(|own| own == proto)
    }
}

impl Exclusions {
    /// Whether it must not be recorded, by what it says itself.
    #[must_use]
    pub fn excludes(&self, observation: &Observation) -> bool {
        self.excludes_of(observation, None)
    }

    /// As [`Exclusions::excludes`], for an observer that knows whose local it is: an answer does not
    /// say.
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

    /// Whether nothing is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Exclusions::default()
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Port, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u16),
            Text(String),
        }
        let wanted = "a port is written as 443, \"tcp/443\" or \"udp/443\"";
        let port = match Given::deserialize(deserializer).map_err(|_| D::Error::custom(wanted))? {
            Given::Number(number) => Some(Port { proto: None, number }),
            Given::Text(text) => text.split_once('/').and_then(|(proto, number)| {
                let proto = Proto::from_name(proto).filter(|&proto| proto != Proto::Icmpv6)?;
                Some(Port { proto: Some(proto), number: number.parse().ok()? })
            }),
        };
        port.ok_or_else(|| D::Error::custom(wanted))
    }
}

/// Addresses or prefixes.
fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ipv6Net>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let prefix = |text: &String| {
        let address = text.parse().map(|address: Ipv6Addr| Ipv6Net::from(address));
        address.or_else(|_| text.parse().map(|prefix: Ipv6Net| prefix.trunc()))
    };
    let read =
        |text| prefix(text).map_err(|_| D::Error::custom(format!("{text:?} is neither an IPv6 address nor a prefix")));
    texts.iter().map(read).collect()
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

    fn read(json: &str) -> Result<Exclusions, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn devices_remotes_and_ports_that_are_excluded_are_and_nothing_else_is() {
        let exclusions =
            read(r#"{"devices":["diary"],"remotes":["2a00:1::/32","2a05::53"],"ports":[5060,"udp/25"]}"#).unwrap();
        let all = |remote, port, device| observations(remote, port, device).map(|o| exclusions.excludes(&o));
        assert_eq!(all("2a00:1:ffff::1", 443, None), [true; 3]);
        assert_eq!(all("2a05::53", 443, None), [true; 3]);
        assert_eq!(all("2a05::54", 443, None), [false; 3]);
        assert_eq!(all("2a05::54", 5060, None), [true; 3]);
        assert_eq!(all("2a05::54", 25, None), [false; 3], "only of UDP");
        assert_eq!(all("2a05::54", 443, Some("printer")), [false; 3]);
        // An answer does not say whose it is; who knows may say so.
        assert_eq!(all("2a05::54", 443, Some("diary")), [true, true, false]);
        let [_, _, answer] = observations("2a05::54", 443, None);
        assert!(exclusions.excludes_of(&answer, Some("diary")));
        assert!(Exclusions::default().is_empty() && !exclusions.is_empty());
    }

    #[test]
    fn a_mistake_in_the_lists_is_named() {
        assert!(read(r#"{"remotes":["192.0.2.1"]}"#).unwrap_err().contains("\"192.0.2.1\" is neither"));
        assert!(read(r#"{"ports":["sctp/1"]}"#).unwrap_err().contains("a port is written as 443"));
        assert!(read(r#"{"remote":[]}"#).unwrap_err().contains("unknown field `remote`"));
    }
}
