//! Zeek's conn.log, as tab-separated values and as JSON.
//!
//! The originator sent the first packet. For ICMP, the ports are type and code. `history` has a letter for each kind
//! of TCP packet: `S` for the originator's SYN, `h` for the responder's SYN-ACK.

use std::borrow::Cow;

use sensor_common::Signal;
use sensor_common::parse::Tuple;
use serde::Deserialize;
use tattler_core::time::Time;

use super::clock::LogClock;
use super::fields::{Ip, MOST_COLUMNS, columns, decimal, ip, micros, port, wrong};
use super::{LineItem, json};
use crate::flow::FlowRecord;
use crate::jsonl::value::Value;

/// The positions of the columns in a conn.log, according to the header.
#[derive(Clone, Debug)]
pub(super) struct ZeekColumns {
    separator: u8,
    unset: Vec<u8>,
    is_conn: bool,
    /// Positions in the order of [`NAMES`].
    at: [Option<usize>; NAMES.len()],
}

const NAMES: [&str; 9] =
    ["ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "duration", "history", "resp_pkts"];

impl Default for ZeekColumns {
    fn default() -> ZeekColumns {
        ZeekColumns { separator: b'\t', unset: b"-".to_vec(), is_conn: true, at: [None; NAMES.len()] }
    }
}

impl ZeekColumns {
    /// Reads a line that begins with `#`.
    fn header(&mut self, line: &[u8]) {
        if let Some(value) = line.strip_prefix(b"#separator ") {
            // The header writes the separator as `\x09`.
            let code = value.strip_prefix(b"\\x").and_then(|hex| std::str::from_utf8(hex).ok());
            self.separator = code.and_then(|hex| u8::from_str_radix(hex.trim(), 16).ok()).unwrap_or(b'\t');
            return;
        }
        let mut words = line.split(|&byte| byte == self.separator);
        match words.next() {
            Some(b"#unset_field") => self.unset = words.next().unwrap_or(b"-").to_vec(),
            Some(b"#path") => self.is_conn = words.next() == Some(b"conn"),
            Some(b"#fields") => {
                let names: Vec<&[u8]> = words.take(MOST_COLUMNS).collect();
                self.at = NAMES.map(|name| names.iter().position(|known| *known == name.as_bytes()));
            }
            _ => {}
        }
    }

    /// Reads a line of the header or a record.
    pub(super) fn parse(&mut self, line: &[u8], clock: &mut LogClock) -> Result<LineItem, String> {
        if line.starts_with(b"#") {
            self.header(line);
            return Ok(LineItem::Nothing);
        }
        if !self.is_conn {
            return Err("no line of a conn.log".into());
        }
        let (fields, _) = columns(line, self.separator);
        // A missing column means the same as an unset field.
        let value = |name: usize| {
            let field = self.at[name].map(|at| fields[at]);
            field.filter(|field| !field.is_empty() && *field != self.unset.as_slice())
        };
        let needed = |name: usize| value(name).ok_or_else(|| format!("{} is missing", NAMES[name]));
        let wrong = |name: usize| wrong(NAMES[name], value(name).unwrap_or_default());
        let ip = |name: usize| ip(NAMES[name], needed(name)?);
        let (Ip::V6(src), Ip::V6(dst)) = (ip(1)?, ip(3)?) else { return Ok(LineItem::Nothing) };
        let number = |name| port(needed(name)?).ok_or_else(|| wrong(name));
        let connection = Connection {
            first: clock.read(needed(0)?).map_err(|why| format!("{}: {why}", wrong(0)))?,
            duration: value(6).map_or(Ok(0), |text| micros(text).ok_or_else(|| wrong(6)))?,
            tuple: Tuple { src, dst, src_port: number(2)?, dst_port: number(4)? },
            proto: needed(5)?,
            history: value(7),
            responder_packets: value(8).map(|text| decimal(text).ok_or_else(|| wrong(8))).transpose()?,
        };
        Ok(connection.item())
    }
}

/// A line of a conn.log in JSON.
#[derive(Deserialize)]
struct ConnLine<'a> {
    ts: Value<'a>,
    #[serde(rename = "id.orig_h", borrow)]
    src: Cow<'a, str>,
    #[serde(rename = "id.orig_p")]
    src_port: u16,
    #[serde(rename = "id.resp_h", borrow)]
    dst: Cow<'a, str>,
    #[serde(rename = "id.resp_p")]
    dst_port: u16,
    #[serde(borrow)]
    proto: Cow<'a, str>,
    duration: Option<f64>,
    history: Option<Cow<'a, str>>,
    resp_pkts: Option<u64>,
    /// Name of the log. Only the streaming writer writes this name.
    #[serde(rename = "_path")]
    path: Option<Cow<'a, str>>,
}

/// Reads a line of JSON.
pub(super) fn parse_json(line: &[u8], clock: &mut LogClock) -> Result<LineItem, String> {
    let line: ConnLine<'_> = json::parse(line)?;
    if line.path.as_deref().is_some_and(|path| path != "conn") {
        return Ok(LineItem::Nothing);
    }
    let ip = |name, text: &str| ip(name, text.as_bytes());
    let (Ip::V6(src), Ip::V6(dst)) = (ip("id.orig_h", &line.src)?, ip("id.resp_h", &line.dst)?) else {
        return Ok(LineItem::Nothing);
    };
    let connection = Connection {
        first: json::time(&line.ts, clock)?,
        duration: (line.duration.unwrap_or(0.0).max(0.0) * 1e6) as i64,
        tuple: Tuple { src, dst, src_port: line.src_port, dst_port: line.dst_port },
        proto: line.proto.as_bytes(),
        history: line.history.as_deref().map(str::as_bytes),
        responder_packets: line.resp_pkts,
    };
    Ok(connection.item())
}

/// A record of either format.
struct Connection<'a> {
    first: Time,
    /// Duration in microseconds.
    duration: i64,
    tuple: Tuple,
    proto: &'a [u8],
    history: Option<&'a [u8]>,
    responder_packets: Option<u64>,
}

impl Connection<'_> {
    fn item(self) -> LineItem {
        let mut tuple = self.tuple;
        let history = |letter: u8| self.history.is_some_and(|history| history.contains(&letter));
        let has_answered = self.responder_packets.is_some_and(|packets| packets > 0);
        let (begins, answered) = match self.proto {
            b"udp" => (Signal::Udp, has_answered || history(b'd')),
            // A connection that began before Zeek started has no SYN.
            b"tcp" if history(b'S') => (Signal::Syn, history(b'h')),
            b"icmp" if tuple.src_port == 128 => {
                (tuple.src_port, tuple.dst_port) = (0, 0);
                (Signal::Echo, has_answered)
            }
            _ => return LineItem::Nothing,
        };
        let last = Time(self.first.0.saturating_add(self.duration));
        LineItem::Flow(FlowRecord { first: self.first, last, tuple, begins, answered, flags: None })
    }
}
