//! Events of the kernel's connection tracking, in the format of `conntrack -E -o timestamp`.
//!
//! NEW begins an exchange. An UPDATE without UNREPLIED means that the exchange is answered. DESTROY comes long after
//! the last packet and adds nothing.

use sensor_common::parse::{Detail, Tuple};
use sensor_common::{Header, Signal};
use tattler_core::observation::Traits;
use tattler_core::time::Time;

use super::clock::LogClock;
use super::fields::{Ip, address, decimal, micros, port, words, wrong};
use super::{LineItem, LoggedPacket};
use crate::flow::reversed;

const EVENTS: [&[u8]; 3] = [b"[NEW]", b"[UPDATE]", b"[DESTROY]"];

/// Whether the line is an event.
pub(super) fn is_event(line: &[u8]) -> bool {
    words(line).take(2).any(|word| EVENTS.contains(&word))
}

/// Reads a line.
pub(super) fn parse(line: &[u8], clock: &LogClock) -> Result<LineItem, String> {
    let mut words = words(line);
    let mut ts = None;
    let mut event = words.next().unwrap_or_default();
    if let [b'[', stamp @ .., b']'] = event
        && stamp.first().is_some_and(u8::is_ascii_digit)
    {
        ts = Some(Time(micros(stamp).ok_or_else(|| wrong("its time", stamp))?));
        event = words.next().unwrap_or_default();
    }
    if !EVENTS.contains(&event) {
        return Err("no event of `conntrack -E`".into());
    }
    let ts = clock.check(ts.ok_or("it has no time: add `-o timestamp` to `conntrack -E`")?)?;
    // `-o extended` prints the family before the protocol: `ipv6     10`.
    let proto = words.find(|word| matches!(*word, b"tcp" | b"udp" | b"icmpv6") || word.starts_with(b"src="));
    let (Some(proto @ (b"tcp" | b"udp" | b"icmpv6")), false) = (proto, event == b"[DESTROY]") else {
        return Ok(LineItem::Nothing);
    };
    let entry = Entry::read(words, proto == b"icmpv6")?;
    let Some(tuple) = entry.tuple()? else { return Ok(LineItem::Nothing) };
    let (begins, answers, is_answered) = match (proto, entry.icmp_type) {
        (b"tcp", _) => (Signal::Syn, Signal::SynAck, entry.is_syn_recv),
        (b"udp", _) => (Signal::Udp, Signal::Udp, !entry.is_unreplied),
        (_, Some(128)) => (Signal::Echo, Signal::EchoReply, !entry.is_unreplied),
        _ => return Ok(LineItem::Nothing),
    };
    let echo_id = (begins == Signal::Echo).then_some(tuple.src_port);
    let detail = Detail { icmp_id: echo_id.unwrap_or(0), ..Detail::default() };
    let packet =
        |signal, tuple, traits| LineItem::Packet(LoggedPacket { ts, header: Header { signal, tuple, detail }, traits });
    if event == b"[NEW]" {
        let source_port = (begins != Signal::Echo).then_some(tuple.src_port);
        return Ok(packet(begins, tuple, Traits { source_port, icmp_id: echo_id, ..Traits::default() }));
    }
    Ok(if is_answered { packet(answers, reversed(tuple), Traits::default()) } else { LineItem::Nothing })
}

/// An entry of the connection table.
#[derive(Default)]
struct Entry {
    /// The direction of the first packet, then the opposite direction.
    sides: [Side; 2],
    icmp_type: Option<u64>,
    is_unreplied: bool,
    is_syn_recv: bool,
}

/// One direction of an entry.
#[derive(Clone, Copy, Default)]
struct Side {
    src: Option<Ip>,
    dst: Option<Ip>,
    src_port: u16,
    dst_port: u16,
}

impl Entry {
    fn read<'a>(words: impl Iterator<Item = &'a [u8]>, is_icmpv6: bool) -> Result<Entry, String> {
        let mut entry = Entry::default();
        let mut sides = 0;
        for word in words {
            let Some(at) = memchr::memchr(b'=', word) else {
                entry.is_unreplied |= word == b"[UNREPLIED]";
                entry.is_syn_recv |= word == b"SYN_RECV";
                continue;
            };
            let (name, value) = (&word[..at], &word[at + 1..]);
            let wrong = || wrong(&String::from_utf8_lossy(name), value);
            // The second `src` begins the opposite direction.
            sides += usize::from(name == b"src");
            let (is_first, side) = match sides {
                0 => continue,
                1 => (true, &mut entry.sides[0]),
                _ => (false, &mut entry.sides[1]),
            };
            match name {
                b"src" => side.src = Some(address(value).ok_or_else(wrong)?),
                b"dst" => side.dst = Some(address(value).ok_or_else(wrong)?),
                b"sport" => side.src_port = port(value).ok_or_else(wrong)?,
                b"dport" => side.dst_port = port(value).ok_or_else(wrong)?,
                b"type" if is_first => entry.icmp_type = Some(decimal(value).ok_or_else(wrong)?),
                // After the second direction, `-o id` prints the ID of the entry itself.
                b"id" if is_icmpv6 && (is_first || side.src_port == 0 && port(value).is_some()) => {
                    side.src_port = port(value).ok_or_else(wrong)?;
                    side.dst_port = side.src_port;
                }
                _ => {}
            }
        }
        Ok(entry)
    }

    /// The exchange as seen on the uplink. With address translation, the two directions have different addresses.
    /// `None` for IPv4.
    fn tuple(&self) -> Result<Option<Tuple>, String> {
        let [there, back] = self.sides;
        let (src, dst) = (there.src.ok_or("src is missing")?, there.dst.ok_or("dst is missing")?);
        let (Ip::V6(src), Ip::V6(dst)) = (src, dst) else { return Ok(None) };
        Ok(Some(match (back.src, back.dst) {
            // A unique local address (RFC 4193) never leaves the home, so the router translated this address.
            (Some(Ip::V6(remote)), Some(Ip::V6(local))) if src[0] & 0xfe == 0xfc => {
                Tuple { src: local, dst: remote, src_port: back.dst_port, dst_port: back.src_port }
            }
            _ => Tuple { src, dst, src_port: there.src_port, dst_port: there.dst_port },
        }))
    }
}
