//! What `conntrack -E -o timestamp` prints: events of the kernel's connection tracking.
//!
//! NEW begins an exchange, an UPDATE that is no longer UNREPLIED answers it. DESTROY comes long after
//! the last packet and tells nothing new.

use sensor_common::parse::{Detail, Tuple};
use sensor_common::{Header, Signal};
use tattler_core::observation::Traits;
use tattler_core::time::Time;

use super::clock::LogClock;
use super::number::{Ip, address, decimal, micros, port};
use super::{LineItem, LoggedPacket};

const EVENTS: [&[u8]; 3] = [b"[NEW]", b"[UPDATE]", b"[DESTROY]"];

/// Whether a line is one of these.
pub(super) fn is_event(line: &[u8]) -> bool {
    let mut words = words(line).take(2);
    words.any(|word| EVENTS.contains(&word))
}

/// Reads a line.
pub(super) fn parse(line: &[u8], clock: &LogClock) -> Result<LineItem, String> {
    let mut words = words(line).peekable();
    let mut ts = None;
    let mut event = words.next().unwrap_or_default();
    if let [b'[', stamp @ .., b']'] = event
        && stamp.first().is_some_and(u8::is_ascii_digit)
    {
        ts = Some(Time(micros(stamp).ok_or_else(|| format!("its time is {}", super::quote(stamp)))?));
        event = words.next().unwrap_or_default();
    }
    if !EVENTS.contains(&event) {
        return Err("no event of `conntrack -E`".into());
    }
    let ts = clock.check(ts.ok_or("it has no time: add `-o timestamp` to `conntrack -E`")?)?;
    // `-o extended` puts the family before: `ipv6     10`.
    let proto = words.find(|word| matches!(*word, b"tcp" | b"udp" | b"icmpv6") || word.starts_with(b"src="));
    let (Some(proto @ (b"tcp" | b"udp" | b"icmpv6")), false) = (proto, event == b"[DESTROY]") else {
        return Ok(LineItem::Nothing);
    };
    let (mut sides, mut is_unreplied, mut is_syn_recv, mut echo) = ([Side::default(); 2], false, false, None);
    let mut side = None;
    for word in words {
        let Some(at) = memchr::memchr(b'=', word) else {
            is_unreplied |= word == b"[UNREPLIED]";
            is_syn_recv |= word == b"SYN_RECV";
            continue;
        };
        let (name, value) = (&word[..at], &word[at + 1..]);
        let wrong = || format!("{} is {}", String::from_utf8_lossy(name), super::quote(value));
        if name == b"src" {
            // The second one begins the other direction.
            side = Some(side.map_or(0, |side: usize| (side + 1).min(1)));
        }
        let Some(of) = side.map(|side| &mut sides[side]) else { continue };
        match name {
            b"src" => of.src = Some(address(value).ok_or_else(wrong)?),
            b"dst" => of.dst = Some(address(value).ok_or_else(wrong)?),
            b"sport" => of.src_port = port(value).ok_or_else(wrong)?,
            b"dport" => of.dst_port = port(value).ok_or_else(wrong)?,
            b"type" if side == Some(0) => echo = Some(decimal(value).ok_or_else(wrong)?),
            // Behind the second direction `-o id` puts another, of the entry itself.
            b"id" if proto == b"icmpv6" && (side == Some(0) || of.src_port == 0 && port(value).is_some()) => {
                of.src_port = port(value).ok_or_else(wrong)?;
                of.dst_port = of.src_port;
            }
            _ => {}
        }
    }
    let Some(tuple) = outside(&sides)? else { return Ok(LineItem::Nothing) };
    let (begins, answers) = match (proto, echo) {
        (b"tcp", _) => (Signal::Syn, Signal::SynAck),
        (b"udp", _) => (Signal::Udp, Signal::Udp),
        (_, Some(128)) => (Signal::Echo, Signal::EchoReply),
        _ => return Ok(LineItem::Nothing),
    };
    let detail = Detail { icmp_id: if begins == Signal::Echo { tuple.src_port } else { 0 }, ..Detail::default() };
    let traits = Traits {
        source_port: (begins != Signal::Echo).then_some(tuple.src_port),
        icmp_id: (begins == Signal::Echo).then_some(tuple.src_port),
        ..Traits::default()
    };
    if event == b"[NEW]" {
        let header = Header { signal: begins, tuple, detail };
        return Ok(LineItem::Packet(LoggedPacket { ts, header, traits }));
    }
    let is_answer = if begins == Signal::Syn { is_syn_recv } else { !is_unreplied };
    let Tuple { src, dst, src_port, dst_port } = tuple;
    let back = Tuple { src: dst, dst: src, src_port: dst_port, dst_port: src_port };
    let header = Header { signal: answers, tuple: back, detail };
    Ok(if is_answer { LineItem::Packet(LoggedPacket { ts, header, traits: Traits::default() }) } else { LineItem::Nothing })
}

/// One direction, as conntrack tells it.
#[derive(Clone, Copy, Default)]
struct Side {
    src: Option<Ip>,
    dst: Option<Ip>,
    src_port: u16,
    dst_port: u16,
}

/// The exchange as the outside sees it: with translation the addresses of the two directions differ.
fn outside(sides: &[Side; 2]) -> Result<Option<Tuple>, String> {
    let [there, back] = sides;
    let (src, dst) = (there.src.ok_or("src is missing")?, there.dst.ok_or("dst is missing")?);
    let (Ip::V6(src), Ip::V6(dst)) = (src, dst) else { return Ok(None) };
    let tuple = Tuple { src, dst, src_port: there.src_port, dst_port: there.dst_port };
    Ok(Some(match (back.src, back.dst) {
        // From an address that never leaves the house (RFC 4193): it went out under another.
        (Some(Ip::V6(remote)), Some(Ip::V6(ours))) if src[0] & 0xfe == 0xfc => {
            Tuple { src: ours, dst: remote, src_port: back.dst_port, dst_port: back.src_port }
        }
        _ => tuple,
    }))
}

fn words(line: &[u8]) -> impl Iterator<LineItem = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}
