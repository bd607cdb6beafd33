//! Writes an observation as a line.

use sensor_common::Proto;
use serde::Serialize;
use tattler_core::observation::{Answer, Contact, Observation, Probe};
use tattler_core::time::Time;

/// The observation as a line of JSON, without a newline. Only backups have lines for answers; elsewhere
/// the probe has `answered`.
#[must_use]
pub fn to_json_line(observation: &Observation) -> Option<String> {
    let line = match observation {
        Observation::Contact(contact) => serde_json::to_string(&ContactLine::from(contact)),
        Observation::Probe(probe) => serde_json::to_string(&ProbeLine::from(probe)),
        Observation::Answer(answer) => serde_json::to_string(&AnswerLine::from(answer)),
    };
    line.ok()
}

#[derive(Serialize)]
struct ContactLine<'a> {
    r#type: &'static str,
    ts: Micros,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Micros>,
    local: std::net::Ipv6Addr,
    remote: std::net::Ipv6Addr,
    proto: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_port: Option<u16>,
    #[serde(skip_serializing_if = "is_one")]
    count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
}

impl<'a> From<&'a Contact> for ContactLine<'a> {
    fn from(contact: &'a Contact) -> Self {
        ContactLine {
            r#type: "contact",
            ts: Micros(contact.ts),
            last: (contact.last != contact.ts).then_some(Micros(contact.last)),
            local: contact.local,
            remote: contact.remote,
            proto: contact.proto.as_str(),
            port: (contact.proto != Proto::Icmpv6).then_some(contact.port),
            local_port: contact.local_port,
            count: contact.count,
            name: contact.name.as_deref(),
            device: contact.device.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct ProbeLine<'a> {
    r#type: &'static str,
    ts: Micros,
    source: std::net::Ipv6Addr,
    target: std::net::Ipv6Addr,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hop_limit: Option<u8>,
    #[serde(skip_serializing_if = "is_one")]
    count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_seq: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_len: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_options: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_label: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    contacted_source: bool,
    #[serde(skip_serializing_if = "is_false")]
    answered: bool,
    #[serde(skip_serializing_if = "is_false")]
    settling: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
}

impl<'a> From<&'a Probe> for ProbeLine<'a> {
    fn from(probe: &'a Probe) -> Self {
        let traits = &probe.traits;
        ProbeLine {
            r#type: "probe",
            ts: Micros(probe.ts),
            source: probe.source,
            target: probe.target,
            kind: probe.kind.as_str(),
            port: (probe.kind.proto() != Proto::Icmpv6).then_some(probe.port),
            hop_limit: traits.hop_limit,
            count: probe.count,
            source_port: traits.source_port,
            icmp_id: traits.icmp_id,
            icmp_seq: traits.icmp_seq,
            payload_len: traits.payload_len,
            payload_hash: traits.payload_hash.as_deref(),
            window: traits.window,
            tcp_options: traits.tcp_options.as_deref(),
            tcp_flags: traits.tcp_flags,
            flow_label: traits.flow_label,
            contacted_source: probe.contacted_source,
            answered: probe.answered,
            settling: probe.settling,
            device: probe.device.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct AnswerLine {
    r#type: &'static str,
    ts: Micros,
    source: std::net::Ipv6Addr,
    target: std::net::Ipv6Addr,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

impl From<&Answer> for AnswerLine {
    fn from(answer: &Answer) -> Self {
        AnswerLine {
            r#type: "answer",
            ts: Micros(answer.ts),
            source: answer.source,
            target: answer.target,
            kind: answer.kind.as_str(),
            port: (answer.kind.proto() != Proto::Icmpv6).then_some(answer.port),
        }
    }
}

/// A time with milliseconds, or with microseconds if it has any.
pub(super) struct Micros(pub(super) Time);

impl Serialize for Micros {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.0 % 1_000 == 0 {
            serializer.collect_str(&self.0)
        } else {
            serializer.collect_str(&format_args!("{:.6}", self.0.timestamp()))
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
