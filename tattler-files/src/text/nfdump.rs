//! What `nfdump -o csv` prints, of nfdump 1.6 and 1.7.
//!
//! A record is one direction of an exchange. NfdumpColumns are found by their names in the first line.

use sensor_common::Proto;
use sensor_common::parse::Tuple;
use tattler_core::time::Time;

use super::LineItem;
use super::clock::{self, LogClock};
use super::number::{Ip, address, decimal, micros, port};
use crate::flow::Half;

/// The header that is put before what our own nfdump prints.
pub(crate) const COLUMNS: &str = "ts,te,pr,sa,sp,da,dp,flg";

/// Where the columns are.
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

/// NfdumpColumns that are looked at at most.
const MOST: usize = 64;

impl NfdumpColumns {
    /// From the first line; `None` if it is none of nfdump's.
    pub(super) fn of(header: &[u8]) -> Option<NfdumpColumns> {
        let names: Vec<&[u8]> = header.split(|&byte| byte == b',').take(MOST).map(<[u8]>::trim_ascii).collect();
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
        let mut fields = [&b""[..]; MOST];
        let mut count = 0;
        for (field, to) in line.split(|&byte| byte == b',').zip(&mut fields) {
            *to = field.trim_ascii();
            count += 1;
        }
        if line.starts_with(b"No matching flows") {
            return Ok(LineItem::Nothing);
        }
        let last_column = [self.first, self.src, self.dst, self.src_port, self.dst_port, self.proto];
        if last_column.iter().any(|&column| column >= count) {
            return Err(format!("{count} columns, fewer than the first line has"));
        }
        let wrong = |name: &str, at: usize| format!("{name} is {}", super::quote(fields[at]));
        let ip = |name, at| address(fields[at]).ok_or_else(|| wrong(name, at));
        let (Ip::V6(src), Ip::V6(dst)) = (ip("source address", self.src)?, ip("destination address", self.dst)?) else {
            return Ok(LineItem::Nothing);
        };
        let proto = match fields[self.proto] {
            b"TCP" | b"6" => Proto::Tcp,
            b"UDP" | b"17" => Proto::Udp,
            b"ICMP6" | b"ICMPv6" | b"58" => Proto::Icmpv6,
            _ => return Ok(LineItem::Nothing),
        };
        let first = time(fields[self.first], clock).map_err(|why| format!("{}: {why}", wrong("time", self.first)))?;
        let last = match (self.last, self.duration) {
            (Some(at), _) => time(fields[at], clock).map_err(|why| format!("{}: {why}", wrong("end", at)))?,
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

/// What ends the records: totals follow.
pub(super) fn is_summary(line: &[u8]) -> bool {
    line == b"Summary"
}

fn time(field: &[u8], clock: &mut LogClock) -> Result<Time, String> {
    match clock::iso(field) {
        Some((civil, b"")) => clock.time(civil),
        Some(_) => Err("no time".into()),
        None => clock.check(Time(micros(field).ok_or("no time")?)),
    }
}

/// `128.0`, or type and code in one number.
fn icmp_type(field: &[u8]) -> Option<u64> {
    match memchr::memchr(b'.', field) {
        Some(at) => decimal(&field[..at]),
        None => decimal(field).map(|number| number >> 8),
    }
}

/// `...AP.SF`, or `......S.` with dots for what is not set, or a number.
fn flags(field: &[u8]) -> Option<u8> {
    if let Some(hex) = field.strip_prefix(b"0x") {
        return u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok();
    }
    field.iter().try_fold(0, |flags, letter| {
        Some(
            flags
                | match letter {
                    b'F' => 0x01,
                    b'S' => 0x02,
                    b'R' => 0x04,
                    b'P' => 0x08,
                    b'A' => 0x10,
                    b'U' => 0x20,
                    b'E' => 0x40,
                    b'C' | b'W' => 0x80,
                    b'.' => 0,
                    // Eight of them: everything was set at once, a Christmas tree.
                    b'X' => 0x3f,
                    _ => return None,
                },
        )
    })
}
