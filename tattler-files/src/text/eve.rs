//! Suricata's EVE: flow records, and alerts with a flow.

use std::borrow::Cow;

use sensor_common::parse::{Address, Tuple};
use sensor_common::{Proto, Signal};
use serde::Deserialize;

use super::clock::LogClock;
use super::fields::{self, Ip, ip};
use super::{LineItem, json};
use crate::flow::{FlowRecord, reversed};
use crate::jsonl::value::Value;

/// The used fields of eve.json.
#[derive(Deserialize)]
struct EveLine<'a> {
    timestamp: Value<'a>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    src_ip: Option<Cow<'a, str>>,
    dest_ip: Option<Cow<'a, str>>,
    src_port: Option<u16>,
    dest_port: Option<u16>,
    proto: Option<Cow<'a, str>>,
    icmp_type: Option<u8>,
    direction: Option<Cow<'a, str>>,
    flow: Option<Flow<'a>>,
    tcp: Option<Tcp<'a>>,
}

#[derive(Default, Deserialize)]
struct Flow<'a> {
    #[serde(default)]
    pkts_toclient: u64,
    #[serde(borrow)]
    start: Option<Value<'a>>,
    end: Option<Value<'a>>,
    /// The initiator. Alerts of Suricata 7 have this field.
    src_ip: Option<Cow<'a, str>>,
}

/// TCP flags in hexadecimal: the flags of the initiator, and the flags of the responder.
#[derive(Deserialize)]
struct Tcp<'a> {
    tcp_flags_ts: Option<Cow<'a, str>>,
    tcp_flags_tc: Option<Cow<'a, str>>,
}

/// Reads a line.
pub(super) fn parse(line: &[u8], clock: &mut LogClock) -> Result<LineItem, String> {
    let line: EveLine<'_> = json::parse(line)?;
    let is_alert = line.event_type == "alert";
    if !is_alert && line.event_type != "flow" {
        return Ok(LineItem::Nothing);
    }
    let ip = |name, text: &Option<Cow<'_, str>>| {
        ip(name, text.as_deref().ok_or_else(|| format!("{name} is missing"))?.as_bytes())
    };
    let (Ip::V6(src), Ip::V6(dst)) = (ip("src_ip", &line.src_ip)?, ip("dest_ip", &line.dest_ip)?) else {
        return Ok(LineItem::Nothing);
    };
    let default = Flow::default();
    let flow = line.flow.as_ref().unwrap_or(&default);
    let first = json::time(flow.start.as_ref().unwrap_or(&line.timestamp), clock)?;
    let last = json::time(flow.end.as_ref().unwrap_or(&line.timestamp), clock)?;
    let mut tuple = Tuple { src, dst, src_port: line.src_port.unwrap_or(0), dst_port: line.dest_port.unwrap_or(0) };
    // An alert has the addresses of the packet that caused the alert. The responder may have sent this packet.
    if is_alert && flow.is_to_initiator(line.direction.as_deref(), src)? {
        tuple = reversed(tuple);
    }
    let Some((begins, answered)) = line.exchange(is_alert, flow) else { return Ok(LineItem::Nothing) };
    let mut flags = line.tcp.as_ref().and_then(|tcp| hex(&tcp.tcp_flags_ts));
    if begins == Signal::Echo {
        (tuple.src_port, tuple.dst_port) = (0, 0);
        flags = None;
    } else if line.src_port.is_none() || line.dest_port.is_none() {
        return Err("src_port or dest_port is missing".into());
    }
    Ok(LineItem::Flow(FlowRecord { first, last: last.max(first), tuple, begins, answered, flags }))
}

impl EveLine<'_> {
    /// The first signal of the exchange, and whether the responder answered. `None` if the exchange began
    /// before Suricata started, or is of no interest.
    fn exchange(&self, is_alert: bool, flow: &Flow<'_>) -> Option<(Signal, bool)> {
        let has_replied = flow.pkts_toclient > 0;
        match fields::proto(self.proto.as_deref()?.as_bytes())? {
            Proto::Udp => Some((Signal::Udp, has_replied)),
            Proto::Icmpv6 => (self.icmp_type == Some(128)).then_some((Signal::Echo, has_replied)),
            Proto::Tcp => match &self.tcp {
                // Alerts have no flags.
                None => is_alert.then_some((Signal::Syn, false)),
                Some(tcp) => match hex(&tcp.tcp_flags_ts) {
                    // The initiator sent no SYN.
                    Some(flags) if flags & 0x02 == 0 && !is_alert => {
                        (flags != 0 && Signal::of_tcp(flags) == Signal::TcpOther).then_some((Signal::TcpOther, false))
                    }
                    _ => Some((Signal::Syn, hex(&tcp.tcp_flags_tc).is_some_and(|flags| flags & 0x12 == 0x12))),
                },
            },
        }
    }
}

impl Flow<'_> {
    /// Whether a packet from `src` went to the initiator.
    fn is_to_initiator(&self, direction: Option<&str>, src: Address) -> Result<bool, String> {
        match &self.src_ip {
            Some(initiator) => Ok(ip("flow.src_ip", initiator.as_bytes())? != Ip::V6(src)),
            None => Ok(direction == Some("to_client")),
        }
    }
}

fn hex(text: &Option<Cow<'_, str>>) -> Option<u8> {
    u8::from_str_radix(text.as_deref()?, 16).ok()
}
