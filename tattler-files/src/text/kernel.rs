//! Lines that the kernel's firewall logs, as journald, syslog daemons and dmesg write them.
//!
//! What nftables (`log`), ip6tables (`-j LOG`) and ulogd print is the same, from `IN=` on; what stands
//! before is a prefix of the user's own making, and before that the time and the host.

use sensor_common::parse::{Detail, Tuple};
use sensor_common::{Header, Signal};
use tattler_core::observation::Traits;

use super::clock::{self, Civil, LogClock};
use super::number::{self, Ip, decimal, port};
use super::{LineItem, LoggedPacket};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const BOOT_TIME: &str =
    "its time counts from the start of the machine: write the log with `journalctl -k -o short-iso`";

/// Whether a line looks like one of a log, with or without a packet in it.
pub(super) fn is_log(line: &[u8]) -> bool {
    fields(line).is_some() || !matches!(stamp(line), Err(None))
}

/// Reads a line; those without a packet are of no interest.
pub(super) fn parse(line: &[u8], clock: &mut LogClock) -> Result<LineItem, String> {
    let Some(fields) = fields(line) else { return Ok(LineItem::Nothing) };
    let Some(packet) = Packet::read(fields)? else { return Ok(LineItem::Nothing) };
    let ts = match stamp(line) {
        Ok(Stamp::Civil(civil)) => clock.time(civil)?,
        Ok(Stamp::Unix(time)) => clock.check(time)?,
        Err(Some(reason)) => return Err(reason.into()),
        Err(None) => return Err("no time at its beginning".into()),
    };
    Ok(packet.seen(ts).map_or(LineItem::Nothing, LineItem::Packet))
}

/// What follows `IN=… OUT=…`: the kernel writes both, a prefix hardly will.
fn fields(line: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find_iter(line, b" OUT=").find_map(|at| {
        let before = &line[..at];
        let device = memchr::memmem::rfind(before, b"IN=")? + 3;
        (!before[device..].contains(&b' ')).then(|| &line[at + 1..])
    })
}

/// The fields of a packet that was logged.
#[derive(Default)]
struct Packet {
    tuple: Tuple,
    proto: Proto,
    detail: Detail,
    traits: Traits,
    icmp_type: u8,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Proto {
    #[default]
    Other,
    Tcp,
    Udp,
    Icmpv6,
}

impl Packet {
    /// `None` if it is none of ours: IPv4, another protocol, a later fragment.
    fn read(fields: &[u8]) -> Result<Option<Packet>, String> {
        let mut packet = Packet::default();
        let (mut src, mut dst, mut proto) = (None, None, None);
        let (mut src_port, mut dst_port, mut has_type) = (None, None, false);
        let (mut length, mut udp_length, mut is_fragment, mut flags, mut is_whole) = (None, None, false, 0, false);
        let mut rest = fields;
        while !rest.is_empty() {
            let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            let wrong = |name: &str| format!("{name} is {}", super::quote(word));
            let number = |value: &[u8], name| decimal(value).ok_or_else(|| wrong(name));
            match word {
                [b'S', b'R', b'C', b'=', value @ ..] => src = Some(number::address(value).ok_or_else(|| wrong("SRC"))?),
                [b'D', b'S', b'T', b'=', value @ ..] => dst = Some(number::address(value).ok_or_else(|| wrong("DST"))?),
                [b'L', b'E', b'N', b'=', value @ ..] if proto.is_none() => length = Some(number(value, "LEN")?),
                [b'L', b'E', b'N', b'=', value @ ..] => udp_length = Some(number(value, "LEN")?),
                [b'H', b'O', b'P', b'L', b'I', b'M', b'I', b'T', b'=', value @ ..] => {
                    packet.detail.hop_limit = number(value, "HOPLIMIT")? as u8;
                    packet.traits.hop_limit = Some(packet.detail.hop_limit);
                }
                [b'F', b'L', b'O', b'W', b'L', b'B', b'L', b'=', value @ ..] => {
                    packet.traits.flow_label = Some(number(value, "FLOWLBL")? as u32);
                }
                [b'P', b'R', b'O', b'T', b'O', b'=', value @ ..] => {
                    proto = Some(match value {
                        b"TCP" | b"6" => Proto::Tcp,
                        b"UDP" | b"17" => Proto::Udp,
                        b"ICMPv6" | b"58" => Proto::Icmpv6,
                        _ => return Ok(None),
                    });
                }
                [b'S', b'P', b'T', b'=', value @ ..] => src_port = Some(port(value).ok_or_else(|| wrong("SPT"))?),
                [b'D', b'P', b'T', b'=', value @ ..] => dst_port = Some(port(value).ok_or_else(|| wrong("DPT"))?),
                [b'T', b'Y', b'P', b'E', b'=', value @ ..] => {
                    packet.icmp_type = number(value, "TYPE")? as u8;
                    has_type = true;
                }
                [b'I', b'D', b'=', value @ ..] => packet.detail.icmp_id = port(value).ok_or_else(|| wrong("ID"))?,
                [b'S', b'E', b'Q', b'=', value @ ..] if proto == Some(Proto::Icmpv6) => {
                    packet.detail.icmp_seq = port(value).ok_or_else(|| wrong("SEQ"))?;
                }
                [b'W', b'I', b'N', b'D', b'O', b'W', b'=', value @ ..] => {
                    packet.traits.window = Some(port(value).ok_or_else(|| wrong("WINDOW"))?);
                }
                [b'F', b'R', b'A', b'G', b':', ..] => is_fragment = true,
                // Behind the flags: the line is whole.
                [b'U', b'R', b'G', b'P', b'=', ..] => is_whole = true,
                b"FIN" => flags |= 0x01,
                b"SYN" => flags |= 0x02,
                b"RST" => flags |= 0x04,
                b"PSH" => flags |= 0x08,
                b"ACK" => flags |= 0x10,
                b"URG" => flags |= 0x20,
                b"ECE" => flags |= 0x40,
                b"CWR" => flags |= 0x80,
                // Fewer bytes than the header has, or the packet that an ICMPv6 error is about.
                b"INCOMPLETE" => return Ok(None),
                [b'[', ..] => break,
                _ => {}
            }
        }
        match (src.ok_or("SRC is missing")?, dst.ok_or("DST is missing")?) {
            (Ip::V6(src), Ip::V6(dst)) => (packet.tuple.src, packet.tuple.dst) = (src, dst),
            _ => return Ok(None),
        }
        packet.proto = match proto {
            Some(proto) => proto,
            None if is_fragment => return Ok(None),
            None => return Err("PROTO is missing".into()),
        };
        let known_length = length.filter(|_| !is_fragment);
        match packet.proto {
            Proto::Icmpv6 if !has_type => return Err("TYPE is missing".into()),
            Proto::Icmpv6 => {
                (packet.tuple.src_port, packet.tuple.dst_port) = (packet.detail.icmp_id, packet.detail.icmp_id);
                packet.traits.icmp_id = Some(packet.detail.icmp_id);
                packet.traits.icmp_seq = Some(packet.detail.icmp_seq);
                packet.traits.payload_len = known_length.and_then(|length| u16::try_from(length.checked_sub(48)?).ok());
            }
            Proto::Tcp | Proto::Udp => {
                packet.tuple.src_port = src_port.ok_or("SPT is missing")?;
                packet.tuple.dst_port = dst_port.ok_or("DPT is missing")?;
                packet.traits.source_port = src_port;
            }
            Proto::Other => {}
        }
        if packet.proto == Proto::Udp {
            packet.traits.payload_len = udp_length.and_then(|length| u16::try_from(length.checked_sub(8)?).ok());
        }
        if packet.proto == Proto::Tcp {
            if !is_whole {
                return Err("it is cut before the TCP flags end".into());
            }
            packet.detail.tcp_flags = flags;
            packet.traits.tcp_flags = Some(flags);
        }
        Ok(Some(packet))
    }

    fn seen(self, ts: tattler_core::time::Time) -> Option<LoggedPacket> {
        let signal = match self.proto {
            Proto::Tcp => Signal::of_tcp(self.detail.tcp_flags),
            Proto::Udp => Signal::Udp,
            Proto::Icmpv6 => Signal::of_icmpv6(self.icmp_type),
            Proto::Other => Signal::None,
        };
        let header = Header { signal, tuple: self.tuple, detail: self.detail };
        (signal != Signal::None).then_some(LoggedPacket { ts, header, traits: self.traits })
    }
}

/// When a line was written.
enum Stamp {
    Civil(Civil),
    Unix(tattler_core::time::Time),
}

/// The time at the beginning of a line, in any of the forms of journalctl, syslog daemons and dmesg.
///
/// # Errors
/// There is none that can be used, and why if it is one.
fn stamp(line: &[u8]) -> Result<Stamp, Option<&'static str>> {
    let line = without_priority(line.trim_ascii_start());
    let civil = match line {
        [b'[', rest @ ..] => {
            let rest = rest.trim_ascii_start();
            if rest.first().is_some_and(u8::is_ascii_digit) {
                return Err(Some(BOOT_TIME));
            }
            weekday(rest)
        }
        [b'0'..=b'9', ..] => match clock::iso(line) {
            Some((civil, _)) => Some(civil),
            None => return unix(line).map(Stamp::Unix).ok_or(None),
        },
        [b'A'..=b'Z', ..] => weekday(line).or_else(|| month(line)),
        _ => None,
    };
    civil.map(Stamp::Civil).ok_or(None)
}

/// `<4>`, and the `1 ` of RFC 5424.
fn without_priority(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"<") else { return line };
    match memchr::memchr(b'>', &rest[..rest.len().min(4)]) {
        Some(end) if decimal(&rest[..end]).is_some() => {
            let rest = &rest[end + 1..];
            rest.strip_prefix(b"1 ").unwrap_or(rest)
        }
        _ => line,
    }
}

/// `Nov 20 19:41:00`
fn month(line: &[u8]) -> Option<Civil> {
    let (name, rest) = line.split_first_chunk::<3>()?;
    let month = MONTHS.iter().position(|month| *month == name)? as i8 + 1;
    let (&[b' ', a, b, b' '], rest) = rest.split_first_chunk::<4>()? else { return None };
    Some(Civil { month, day: clock::two(&[a, b])?, ..clock::time_of_day(rest)?.0 })
}

/// `Fri Nov 20 19:41:00 2026`, as dmesg -T and OpenWrt's logread write it, or journald's
/// `Fri 2026-11-20 19:41:00 UTC`.
fn weekday(line: &[u8]) -> Option<Civil> {
    let (name, rest) = line.split_first_chunk::<3>()?;
    if !DAYS.contains(&name) {
        return None;
    }
    let rest = rest.strip_prefix(b" ")?;
    if let Some((civil, zone)) = clock::iso(rest) {
        let is_utc = zone.starts_with(b" UTC") || zone.starts_with(b" GMT");
        return Some(Civil { offset: civil.offset.or(is_utc.then_some(0)), ..civil });
    }
    let civil = month(rest)?;
    let (_, year) = clock::time_of_day(rest.get(7..)?)?;
    let year = decimal(year.strip_prefix(b" ")?.get(..4)?)?;
    Some(Civil { year: i16::try_from(year).ok(), ..civil })
}

/// `1788226914.831000 host …`
fn unix(line: &[u8]) -> Option<tattler_core::time::Time> {
    let end = memchr::memchr(b' ', line)?;
    let stamp = &line[..end];
    (stamp.contains(&b'.') && end > 10).then(|| number::micros(stamp)).flatten().map(tattler_core::time::Time)
}
