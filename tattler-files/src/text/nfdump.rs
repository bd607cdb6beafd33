//! Flow records that nfdump 1.6 and 1.7 print with `nfdump -o csv`.
//!
//! A record is one direction of an exchange. The names in the first line determine the columns.

use sensor_common::Proto;
use sensor_common::parse::Tuple;
use tattler_core::time::Time;

use super::LineItem;
use super::clock::LogClock;
use super::fields::{self, Ip, MOST_COLUMNS, decimal, ip, micros, port};
use crate::flow::FlowHalf;

/// The header for the output of nfdump, when Tattler runs nfdump.
pub(crate) const COLUMNS: &str = "ts,te,pr,sa,sp,da,dp,flg";

/// The positions of the columns.
#[derive(Clone, Debug, Default)]
pub(super) struct NfdumpColumns {
    first: usize,
    last: Option<usize>,
    duration: Option<usize>,
    src: usize,
    dst: usize,
    src_port: usize,
    dst_port: usize,
    proto: usize,
    flags: Option<usize>,
}

impl NfdumpColumns {
    /// Reads the columns from the first line; `None` if nfdump did not write the line.
    pub(super) fn of(header: &[u8]) -> Option<NfdumpColumns> {
        let names: Vec<&[u8]> = header.split(|&byte| byte == b',').take(MOST_COLUMNS).map(<[u8]>::trim_ascii).collect();
        let find = |names_of: &[&str]| {
            names.iter().position(|name| names_of.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())))
        };
        Some(NfdumpColumns {
            first: find(&["ts", "firstSeen", "first"])?,
            last: find(&["te", "lastSeen", "last"]),
            duration: find(&["td", "duration"]),
            src: find(&["sa", "srcAddr", "src4Addr", "src6Addr"])?,
            dst: find(&["da", "dstAddr", "dst4Addr", "dst6Addr"])?,
            src_port: find(&["sp", "srcPort"])?,
            dst_port: find(&["dp", "dstPort"])?,
            proto: find(&["pr", "proto"])?,
            flags: find(&["flg", "flags", "tcpFlags"]),
        })
    }

    /// Reads a record.
    pub(super) fn parse(&self, line: &[u8], clock: &mut LogClock) -> Result<LineItem, String> {
        if line.starts_with(b"No matching flows") {
            return Ok(LineItem::Nothing);
        }
        let (fields, count) = fields::columns(line, b',');
        let needed = [self.first, self.src, self.dst, self.src_port, self.dst_port, self.proto];
        if needed.iter().any(|&column| column >= count) {
            return Err(format!("{count} columns, fewer than the first line has"));
        }
        let wrong = |name, at: usize| fields::wrong(name, fields[at]);
        let ip = |name, at: usize| ip(name, fields[at]);
        let time = |clock: &mut LogClock, name, at: usize| {
            clock.read(fields[at]).map_err(|why| format!("{}: {why}", wrong(name, at)))
        };
        let (Ip::V6(src), Ip::V6(dst)) = (ip("source address", self.src)?, ip("destination address", self.dst)?) else {
            return Ok(LineItem::Nothing);
        };
        let Some(proto) = fields::proto(fields[self.proto]) else { return Ok(LineItem::Nothing) };
        let first = time(clock, "time", self.first)?;
        let last = match (self.last, self.duration) {
            (Some(at), _) => time(clock, "end", at)?,
            (None, Some(at)) => Time(first.0.saturating_add(micros(fields[at]).ok_or_else(|| wrong("duration", at))?)),
            (None, None) => first,
        };
        let mut tuple = Tuple { src, dst, src_port: 0, dst_port: 0 };
        let mut is_reply = false;
        if proto == Proto::Icmpv6 {
            match icmp_type(fields[self.dst_port]).ok_or_else(|| wrong("type", self.dst_port))? {
                128 => {}
                129 => is_reply = true,
                _ => return Ok(LineItem::Nothing),
            }
        } else {
            tuple.src_port = port(fields[self.src_port]).ok_or_else(|| wrong("source port", self.src_port))?;
            tuple.dst_port = port(fields[self.dst_port]).ok_or_else(|| wrong("destination port", self.dst_port))?;
        }
        let flags = match self.flags {
            Some(at) if proto == Proto::Tcp => Some(flags(fields[at]).ok_or_else(|| wrong("flags", at))?),
            _ => None,
        };
        Ok(LineItem::Half(FlowHalf { first, last: last.max(first), tuple, proto, flags, is_reply }))
    }
}

/// Reads `128.0`, or type and code combined in one number.
fn icmp_type(field: &[u8]) -> Option<u64> {
    match memchr::memchr(b'.', field) {
        Some(at) => decimal(&field[..at]),
        None => decimal(field).map(|number| number >> 8),
    }
}

/// Reads `...AP.SF` or `......S.`, with dots for unset flags, or a hexadecimal number.
fn flags(field: &[u8]) -> Option<u8> {
    if let Some(hex) = field.strip_prefix(b"0x") {
        return u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok();
    }
    field.iter().try_fold(0, |flags, letter| {
        let flag = match letter {
            b'F' => 0x01,
            b'S' => 0x02,
            b'R' => 0x04,
            b'P' => 0x08,
            b'A' => 0x10,
            b'U' => 0x20,
            b'E' => 0x40,
            b'C' | b'W' => 0x80,
            b'.' => 0,
            // A Christmas tree packet has all six classic flags. nfdump writes eight flags.
            b'X' => 0x3f,
            _ => return None,
        };
        Some(flags | flag)
    })
}
