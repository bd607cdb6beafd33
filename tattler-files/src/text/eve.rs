//! Suricata's EVE: records of flows, and alerts with the flow that they are about.

use std::borrow::Cow;

use sensor_common::Signal;
use sensor_common::parse::Tuple;
use serde::Deserialize;

use super::clock::LogClock;
use super::number::{Ip, address};
use super::{LineItem, json};
use crate::flow::FlowRecord;

/// A line of eve.json, as far as it is of use here.
#[derive(Deserialize)]
struct EveLine<'a> {
    #[serde(borrow)]
    timestamp: json::JsonTime<'a>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(default, borrow)]
    src_ip: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    dest_ip: Option<Cow<'a, str>>,
    #[serde(default)]
    src_port: Option<u16>,
    #[serde(default)]
    dest_port: Option<u16>,
    #[serde(default, borrow)]
    proto: Option<Cow<'a, str>>,
    #[serde(default)]
    icmp_type: Option<u8>,
    #[serde(default, borrow)]
    direction: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    flow: Option<Flow<'a>>,
    #[serde(default, borrow)]
    tcp: Option<Tcp<'a>>,
}

#[derive(Default, Deserialize)]
struct Flow<'a> {
    #[serde(default)]
    pkts_toclient: u64,
    #[serde(default, borrow)]
    start: Option<json::JsonTime<'a>>,
    #[serde(default, borrow)]
    end: Option<json::JsonTime<'a>>,
    /// Who began, in alerts of Suricata 7.
    #[serde(default, borrow)]
    src_ip: Option<Cow<'a, str>>,
}

/// Flags in hexadecimal: of the side that began, and of the other.
#[derive(Deserialize)]
struct Tcp<'a> {
    #[serde(default, borrow)]
    tcp_flags_ts: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
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
        let text = text.as_deref().ok_or_else(|| format!("{name} is missing"))?;
        address(text.as_bytes()).ok_or_else(|| format!("{name} is {}", super::quote(text.as_bytes())))
    };
    let (Ip::V6(src), Ip::V6(dst)) = (ip("src_ip", &line.src_ip)?, ip("dest_ip", &line.dest_ip)?) else {
        return Ok(LineItem::Nothing);
    };
    let flow = line.flow.unwrap_or_default();
    let first = flow.start.as_ref().unwrap_or(&line.timestamp).read(clock)?;
    let last = flow.end.as_ref().unwrap_or(&line.timestamp).read(clock)?;
    let mut tuple = Tuple { src, dst, src_port: line.src_port.unwrap_or(0), dst_port: line.dest_port.unwrap_or(0) };
    // An alert tells the addresses of the packet that it is about, which may have gone the other way.
    if is_alert && is_turned(&line.direction, &flow, src)? {
        let Tuple { src, dst, src_port, dst_port } = tuple;
        tuple = Tuple { src: dst, dst: src, src_port: dst_port, dst_port: src_port };
    }
    let has_ports = || match (line.src_port, line.dest_port) {
        (Some(_), Some(_)) => Ok(()),
        _ => Err("src_port or dest_port is missing".to_owned()),
    };
    let flags = line.tcp.as_ref().map(|tcp| (hex(&tcp.tcp_flags_ts), hex(&tcp.tcp_flags_tc)));
    let (begins, answered) = match line.proto.as_deref() {
        Some("UDP" | "udp") => (Signal::Udp, flow.pkts_toclient > 0),
        Some("TCP" | "tcp") => match flags {
            // What began before Suricata looked has no SYN. Alerts tell no flags.
            Some((Some(there), _)) if there & 0x02 == 0 && !is_alert => match Signal::of_tcp(there) {
                Signal::TcpOther if there != 0 => (Signal::TcpOther, false),
                _ => return Ok(LineItem::Nothing),
            },
            Some((_, back)) => (Signal::Syn, back.is_some_and(|back| back & 0x12 == 0x12)),
            None if is_alert => (Signal::Syn, false),
            None => return Ok(LineItem::Nothing),
        },
        Some("IPv6-ICMP" | "ICMPv6" | "icmpv6") if line.icmp_type == Some(128) => {
            (tuple.src_port, tuple.dst_port) = (0, 0);
            (Signal::Echo, flow.pkts_toclient > 0)
        }
        _ => return Ok(LineItem::Nothing),
    };
    if begins != Signal::Echo {
        has_ports()?;
    }
    let flags = flags.and_then(|(there, _)| there).filter(|_| begins != Signal::Echo);
    Ok(LineItem::Flow(FlowRecord { first, last: last.max(first), tuple, begins, answered, flags }))
}

/// Whether the packet of an alert went to whoever began.
fn is_turned(
    direction: &Option<Cow<'_, str>>,
    flow: &Flow<'_>,
    src: sensor_common::parse::Address,
) -> Result<bool, String> {
    if let Some(began) = &flow.src_ip {
        let began =
            address(began.as_bytes()).ok_or_else(|| format!("flow.src_ip is {}", super::quote(began.as_bytes())))?;
        return Ok(began != Ip::V6(src));
    }
    Ok(direction.as_deref() == Some("to_client"))
}

fn hex(text: &Option<Cow<'_, str>>) -> Option<u8> {
    u8::from_str_radix(text.as_deref()?, 16).ok()
}
