//! Parses a line into an observation.

use sensor_common::{Kind, Proto};
use serde::Deserialize;
use tattler_core::observation::{Answer, Contact, Observation, Probe, Traits};

use super::backup::{self, BackupEntry};
use super::value::{self, Value};

/// All known keys. Other keys are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct JsonLine<'a> {
    #[serde(rename = "type", borrow)]
    kind_of_line: Value<'a>,
    ts: Value<'a>,
    last: Value<'a>,
    local: Value<'a>,
    pub(super) remote: Value<'a>,
    proto: Value<'a>,
    port: Value<'a>,
    local_port: Value<'a>,
    count: Value<'a>,
    name: Value<'a>,
    device: Value<'a>,
    source: Value<'a>,
    target: Value<'a>,
    kind: Value<'a>,
    hop_limit: Value<'a>,
    source_port: Value<'a>,
    icmp_id: Value<'a>,
    icmp_seq: Value<'a>,
    payload_len: Value<'a>,
    payload_hash: Value<'a>,
    window: Value<'a>,
    tcp_options: Value<'a>,
    tcp_flags: Value<'a>,
    flow_label: Value<'a>,
    contacted_source: Value<'a>,
    answered: Value<'a>,
    settling: Value<'a>,
    pub(super) at: Value<'a>,
    pub(super) until: Value<'a>,
    pub(super) note: Value<'a>,
    pub(super) key: Value<'a>,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// An observation.
    Observation(Observation),
    /// An entry of a backup other than an observation.
    Backup(BackupEntry),
}

const U16: u64 = u16::MAX as u64;
const U32: u64 = u32::MAX as u64;
/// The greatest flow label: twenty bits.
const FLOW_LABEL: u64 = 0xf_ffff;

/// Parses an observation.
///
/// # Errors
/// The line has no valid observation. The reason names the key.
pub fn parse(line: &[u8]) -> Result<Observation, String> {
    match parse_any(line)? {
        Parsed::Observation(observation) => Ok(observation),
        Parsed::Backup(_) => Err("no observation".into()),
    }
}

/// Parses a line.
///
/// # Errors
/// The line is malformed. The reason names the key.
pub fn parse_any(line: &[u8]) -> Result<Parsed, String> {
    let text =
        std::str::from_utf8(line).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to() + 1))?;
    // A file may start with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    if !text.starts_with('{') {
        return Err("no JSON object, and no line of a known log".into());
    }
    let line: JsonLine<'_> = serde_json::from_str(text).map_err(|error| value::reason(&error))?;
    let observation = match &line.kind_of_line {
        Value::Text(text) if text == "contact" => Observation::Contact(contact(line)?),
        Value::Text(text) if text == "probe" => Observation::Probe(probe(line)?),
        Value::Text(text) if text == "answer" => Observation::Answer(answer(&line)?),
        Value::Text(text) if text == "ack" => return backup::ack(line).map(Parsed::Backup),
        Value::Text(text) if text == "device-key" => return backup::device_key(&line).map(Parsed::Backup),
        other => return other.name("type", "contact, probe, answer, ack or device-key", |_| None),
    };
    Ok(Parsed::Observation(observation))
}

fn contact(line: JsonLine<'_>) -> Result<Contact, String> {
    let ts = line.ts.time("ts")?;
    let last = line.last.optional(|value| value.time("last"))?.unwrap_or(ts);
    if last < ts {
        return Err("last is before ts".into());
    }
    let proto = line.proto.name("proto", "tcp, udp or icmpv6", Proto::from_name)?;
    Ok(Contact {
        ts,
        last,
        local: line.local.address("local")?,
        remote: line.remote.address("remote")?,
        proto,
        port: port(&line.port, proto)?,
        local_port: line.local_port.optional(|value| value.number("local_port", 0, U16))?,
        // The count is 0 for an exchange that continues: no contact began, and only `last` changes.
        count: line.count.optional(|value| value.number("count", 0, U32))?.unwrap_or(1),
        name: text("name", line.name)?,
        device: text("device", line.device)?,
    })
}

fn probe(line: JsonLine<'_>) -> Result<Probe, String> {
    let ts = line.ts.time("ts")?;
    let kind = line.kind.name("kind", "echo, syn, udp or tcp-other", Kind::from_name)?;
    let flag = |key, value: Value<'_>| Ok::<_, String>(value.optional(|value| value.bool(key))?.unwrap_or(false));
    Ok(Probe {
        ts,
        source: line.source.address("source")?,
        target: line.target.address("target")?,
        kind,
        port: port(&line.port, kind.proto())?,
        count: line.count.optional(|value| value.number("count", 1, U32))?.unwrap_or(1),
        traits: Traits {
            hop_limit: line.hop_limit.optional(|value| value.number("hop_limit", 0, u64::from(u8::MAX)))?,
            source_port: line.source_port.optional(|value| value.number("source_port", 0, U16))?,
            icmp_id: line.icmp_id.optional(|value| value.number("icmp_id", 0, U16))?,
            icmp_seq: line.icmp_seq.optional(|value| value.number("icmp_seq", 0, U16))?,
            payload_len: line.payload_len.optional(|value| value.number("payload_len", 0, U16))?,
            payload_hash: text("payload_hash", line.payload_hash)?,
            window: line.window.optional(|value| value.number("window", 0, U16))?,
            tcp_options: text("tcp_options", line.tcp_options)?,
            tcp_flags: line.tcp_flags.optional(|value| value.number("tcp_flags", 0, u64::from(u8::MAX)))?,
            flow_label: line.flow_label.optional(|value| value.number("flow_label", 0, FLOW_LABEL))?,
        },
        contacted_source: flag("contacted_source", line.contacted_source)?,
        answered: flag("answered", line.answered)?,
        settling: flag("settling", line.settling)?,
        device: text("device", line.device)?,
    })
}

fn answer(line: &JsonLine<'_>) -> Result<Answer, String> {
    let kind = line.kind.name("kind", "echo, syn, udp or tcp-other", Kind::from_name)?;
    Ok(Answer {
        ts: line.ts.time("ts")?,
        source: line.source.address("source")?,
        target: line.target.address("target")?,
        kind,
        port: port(&line.port, kind.proto())?,
    })
}

/// ICMPv6 has no ports, so a `port` in its lines is ignored.
fn port(value: &Value<'_>, proto: Proto) -> Result<u16, String> {
    if proto == Proto::Icmpv6 { Ok(0) } else { value.number("port", 0, U16) }
}

pub(super) fn text(key: &str, value: Value<'_>) -> Result<Option<String>, String> {
    value.optional(|value| value.text(key).map(Into::into))
}
