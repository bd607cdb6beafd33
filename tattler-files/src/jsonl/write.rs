//! Writes an observation as a line.

use sensor_common::Proto;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tattler_core::observation::{Contact, Observation, Probe};
use tattler_core::time::Time;

/// The observation as a line of JSON, without a newline. Only backups have lines for answers. Elsewhere, the probe
/// has the key `answered`.
#[must_use]
pub fn to_json_line(observation: &Observation) -> Option<String> {
    serde_json::to_string(&Line(observation)).ok()
}

struct Line<'a>(&'a Observation);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Observation::Contact(one) => contact(&mut map, one)?,
            Observation::Probe(one) => probe(&mut map, one)?,
            Observation::Answer(answer) => {
                map.serialize_entry("type", "answer")?;
                map.serialize_entry("ts", &Micros(answer.ts))?;
                map.serialize_entry("source", &answer.source)?;
                map.serialize_entry("target", &answer.target)?;
                map.serialize_entry("kind", answer.kind.as_str())?;
                optional(&mut map, "port", port(answer.kind.proto(), answer.port))?;
            }
        }
        map.end()
    }
}

fn contact<M: SerializeMap>(map: &mut M, contact: &Contact) -> Result<(), M::Error> {
    map.serialize_entry("type", "contact")?;
    map.serialize_entry("ts", &Micros(contact.ts))?;
    optional(map, "last", (contact.last != contact.ts).then_some(Micros(contact.last)))?;
    map.serialize_entry("local", &contact.local)?;
    map.serialize_entry("remote", &contact.remote)?;
    map.serialize_entry("proto", contact.proto.as_str())?;
    optional(map, "port", port(contact.proto, contact.port))?;
    optional(map, "local_port", contact.local_port)?;
    optional(map, "count", (contact.count != 1).then_some(contact.count))?;
    optional(map, "name", contact.name.as_deref())?;
    optional(map, "device", contact.device.as_deref())
}

fn probe<M: SerializeMap>(map: &mut M, probe: &Probe) -> Result<(), M::Error> {
    let traits = &probe.traits;
    map.serialize_entry("type", "probe")?;
    map.serialize_entry("ts", &Micros(probe.ts))?;
    map.serialize_entry("source", &probe.source)?;
    map.serialize_entry("target", &probe.target)?;
    map.serialize_entry("kind", probe.kind.as_str())?;
    optional(map, "port", port(probe.kind.proto(), probe.port))?;
    optional(map, "hop_limit", traits.hop_limit)?;
    optional(map, "count", (probe.count != 1).then_some(probe.count))?;
    optional(map, "source_port", traits.source_port)?;
    optional(map, "icmp_id", traits.icmp_id)?;
    optional(map, "icmp_seq", traits.icmp_seq)?;
    optional(map, "payload_len", traits.payload_len)?;
    optional(map, "payload_hash", traits.payload_hash.as_deref())?;
    optional(map, "window", traits.window)?;
    optional(map, "tcp_options", traits.tcp_options.as_deref())?;
    optional(map, "tcp_flags", traits.tcp_flags)?;
    optional(map, "flow_label", traits.flow_label)?;
    optional(map, "contacted_source", probe.contacted_source.then_some(true))?;
    optional(map, "answered", probe.answered.then_some(true))?;
    optional(map, "settling", probe.settling.then_some(true))?;
    optional(map, "device", probe.device.as_deref())
}

/// The port of a protocol with ports. ICMPv6 has no ports.
fn port(proto: Proto, port: u16) -> Option<u16> {
    (proto != Proto::Icmpv6).then_some(port)
}

pub(super) fn optional<M: SerializeMap>(map: &mut M, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// A time: with milliseconds if milliseconds are exact, otherwise with microseconds.
pub(super) struct Micros(pub(super) Time);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.0 % 1_000 == 0 {
            serializer.collect_str(&self.0)
        } else {
            serializer.collect_str(&format_args!("{:.6}", self.0.timestamp()))
        }
    }
}
