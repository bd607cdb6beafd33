//! Packets that the kernel's firewall logs, in the formats of journald, syslog daemons and dmesg.
//!
//! nftables (`log`), ip6tables (`-j LOG`) and ulogd print the same fields from `IN=` on. The user's log prefix stands
//! before these fields, and the time and the host stand before the prefix.

use sensor_common::parse::{Detail, Tuple};
use sensor_common::{Header, Proto, Signal};
use tattler_core::observation::Traits;
use tattler_core::time::Time;

use super::clock::{self, Civil, LogClock};
use super::fields::{self, Ip, address, decimal, port, wrong};
use super::{LineItem, LoggedPacket};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const BOOT_TIME: &str =
    "its time counts from the start of the machine: write the log with `journalctl -k -o short-iso`";

/// Whether the line is from a syslog, with or without a packet.
pub(super) fn is_log(line: &[u8]) -> bool {
    fields(line).is_some() || !matches!(stamp(line), Err(None))
}

/// Reads a line. Lines without a packet give [`LineItem::Nothing`].
pub(super) fn parse(line: &[u8], clock: &mut LogClock) -> Result<LineItem, String> {
    let Some(fields) = fields(line) else { return Ok(LineItem::Nothing) };
    let Some(fields) = Fields::read(fields)? else { return Ok(LineItem::Nothing) };
    let Some((header, traits)) = fields.packet()? else { return Ok(LineItem::Nothing) };
    let ts = match stamp(line) {
        Ok(Stamp::Civil(civil)) => clock.time(civil)?,
        Ok(Stamp::Unix(time)) => clock.check(time)?,
        Err(Some(reason)) => return Err(reason.into()),
        Err(None) => return Err("no time at its beginning".into()),
    };
    if header.signal == Signal::None {
        return Ok(LineItem::Nothing);
    }
    Ok(LineItem::Packet(LoggedPacket { ts, header, traits }))
}

/// The text after `IN=…`, from ` OUT=` on. The kernel writes both words. A log prefix is unlikely to contain both.
fn fields(line: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find_iter(line, b" OUT=").find_map(|at| {
        let before = &line[..at];
        let device = memchr::memmem::rfind(before, b"IN=")? + 3;
        (!before[device..].contains(&b' ')).then(|| &line[at + 1..])
    })
}

/// The fields of a logged packet.
#[derive(Default)]
struct Fields {
    src: Option<Ip>,
    dst: Option<Ip>,
    proto: Option<Proto>,
    src_port: Option<u16>,
    dst_port: Option<u16>,
    icmp_type: Option<u8>,
    icmp_id: u16,
    icmp_seq: u16,
    hop_limit: Option<u8>,
    flow_label: Option<u32>,
    window: Option<u16>,
    /// Number of bytes in the packet.
    length: Option<u64>,
    /// Number of bytes in the UDP header and its payload.
    udp_length: Option<u64>,
    is_fragment: bool,
    tcp_flags: u8,
    has_all_flags: bool,
}

impl Fields {
    /// Reads the fields. `None` for another protocol, or an incomplete packet.
    fn read(text: &[u8]) -> Result<Option<Fields>, String> {
        let mut fields = Fields::default();
        let mut start = 0;
        for end in memchr::memchr_iter(b' ', text).chain([text.len()]) {
            let word = &text[start..end];
            start = end + 1;
            match word {
                // The packet is shorter than its header should be.
                b"INCOMPLETE" => return Ok(None),
                // An ICMPv6 error quotes the packet that follows.
                [b'[', ..] => break,
                _ => {}
            }
            match word.iter().position(|&byte| byte == b'=').map(|at| (&word[..at], &word[at + 1..])) {
                None => fields.take_word(word),
                Some((b"PROTO", value)) => match fields::proto(value) {
                    Some(proto) => fields.proto = Some(proto),
                    None => return Ok(None),
                },
                Some((name, value)) => {
                    let taken = fields.take(name, value);
                    taken.ok_or_else(|| wrong(&String::from_utf8_lossy(name), word))?;
                }
            }
        }
        Ok(Some(fields))
    }

    /// Takes a field with a value; `None` if the value is malformed.
    fn take(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        match name {
            b"SRC" => self.src = Some(address(value)?),
            b"DST" => self.dst = Some(address(value)?),
            b"LEN" if self.proto.is_none() => self.length = Some(decimal(value)?),
            b"LEN" => self.udp_length = Some(decimal(value)?),
            b"HOPLIMIT" => self.hop_limit = Some(decimal(value)? as u8),
            b"FLOWLBL" => self.flow_label = Some(decimal(value)? as u32),
            b"SPT" => self.src_port = Some(port(value)?),
            b"DPT" => self.dst_port = Some(port(value)?),
            b"TYPE" => self.icmp_type = Some(decimal(value)? as u8),
            b"ID" => self.icmp_id = port(value)?,
            // TCP also has a field of this name.
            b"SEQ" if self.proto == Some(Proto::Icmpv6) => self.icmp_seq = port(value)?,
            b"WINDOW" => self.window = Some(port(value)?),
            // This field follows the TCP flags, so no flag is cut off.
            b"URGP" => self.has_all_flags = true,
            _ => {}
        }
        Some(())
    }

    /// Takes a word without a value.
    fn take_word(&mut self, word: &[u8]) {
        self.tcp_flags |= match word {
            b"FIN" => 0x01,
            b"SYN" => 0x02,
            b"RST" => 0x04,
            b"PSH" => 0x08,
            b"ACK" => 0x10,
            b"URG" => 0x20,
            b"ECE" => 0x40,
            b"CWR" => 0x80,
            _ => 0,
        };
        self.is_fragment |= word.starts_with(b"FRAG:");
    }

    /// The packet. `None` for IPv4 and later fragments.
    fn packet(self) -> Result<Option<(Header, Traits)>, String> {
        let (src, dst) = (self.src.ok_or("SRC is missing")?, self.dst.ok_or("DST is missing")?);
        let (Ip::V6(src), Ip::V6(dst)) = (src, dst) else { return Ok(None) };
        let proto = match self.proto {
            Some(proto) => proto,
            None if self.is_fragment => return Ok(None),
            None => return Err("PROTO is missing".into()),
        };
        let mut traits =
            Traits { hop_limit: self.hop_limit, flow_label: self.flow_label, window: self.window, ..Traits::default() };
        let mut detail = Detail {
            hop_limit: self.hop_limit.unwrap_or(0),
            icmp_id: self.icmp_id,
            icmp_seq: self.icmp_seq,
            ..Detail::default()
        };
        let after = |length: Option<u64>, header| u16::try_from(length?.checked_sub(header)?).ok();
        let (mut src_port, mut dst_port) = (self.icmp_id, self.icmp_id);
        if proto == Proto::Icmpv6 {
            traits.icmp_id = Some(self.icmp_id);
            traits.icmp_seq = Some(self.icmp_seq);
            traits.payload_len = after(self.length.filter(|_| !self.is_fragment), 48);
        } else {
            src_port = self.src_port.ok_or("SPT is missing")?;
            dst_port = self.dst_port.ok_or("DPT is missing")?;
            traits.source_port = self.src_port;
        }
        let signal = match proto {
            Proto::Icmpv6 => Signal::of_icmpv6(self.icmp_type.ok_or("TYPE is missing")?),
            Proto::Udp => {
                traits.payload_len = after(self.udp_length, 8);
                Signal::Udp
            }
            Proto::Tcp if !self.has_all_flags => return Err("it is cut before the TCP flags end".into()),
            Proto::Tcp => {
                detail.tcp_flags = self.tcp_flags;
                traits.tcp_flags = Some(self.tcp_flags);
                Signal::of_tcp(self.tcp_flags)
            }
        };
        let tuple = Tuple { src, dst, src_port, dst_port };
        Ok(Some((Header { signal, tuple, detail }, traits)))
    }
}

/// The time of a line.
enum Stamp {
    Civil(Civil),
    Unix(Time),
}

/// The time at the beginning of a line, in any format of journalctl, syslog daemons and dmesg.
///
/// # Errors
/// The line has no usable time. If the line has an unusable time, the error gives the reason.
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

/// Skips `<4>`, and the following `1 ` of RFC 5424.
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

/// Reads `Nov 20 19:41:00`.
fn month(line: &[u8]) -> Option<Civil> {
    let (name, rest) = line.split_first_chunk::<3>()?;
    let month = MONTHS.iter().position(|month| *month == name)? as i8 + 1;
    let (&[b' ', a, b, b' '], rest) = rest.split_first_chunk::<4>()? else { return None };
    Some(Civil { month, day: clock::two(&[a, b])?, ..clock::time_of_day(rest)?.0 })
}

/// Reads `Fri Nov 20 19:41:00 2026` from dmesg -T and OpenWrt's logread, and `Fri 2026-11-20 19:41:00 UTC` from
/// journald.
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

/// Reads `1788226914.831000 host …`.
fn unix(line: &[u8]) -> Option<Time> {
    let end = memchr::memchr(b' ', line)?;
    let stamp = &line[..end];
    (stamp.contains(&b'.') && end > 10).then(|| fields::micros(stamp)).flatten().map(Time)
}
