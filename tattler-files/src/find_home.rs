//! What is home in captures, logs and flow records that nobody said it of: a first reading.

use ipnet::Ipv6Net;
use sensor_common::Header;

use super::capture::home::HomeFinder;
use super::input::Format;
use super::read::{ReadOptions, STEP, each_packet, read_lines, steps};
use super::text::{Dialect, LineItem, LineSinks};
use super::{ReadError, Fault, Input, flow};

/// Finds out what is home in all `inputs` but JSON Lines; `None` if there are none.
///
/// # Errors
/// It can't be told; where an input ended too soon, `tell` has got that before.
pub(super) fn find_home(
    inputs: &[Input],
    options: &ReadOptions,
    tell_cut: &mut dyn FnMut(Fault),
) -> Result<Option<Ipv6Net>, ReadError> {
    let mut finder = HomeFinder::default();
    let mut captures = Vec::new();
    let mut cut = Vec::new();
    for input in inputs.iter().filter(|input| input.is_rereadable()) {
        let content = input.open()?;
        if content.format == Format::Text(Dialect::JsonLines) {
            continue;
        }
        let name = input.to_string();
        // Faults are told when the file is read again, if it is.
        let mut tell = |fault| {
            if matches!(fault, Fault::Stopped { .. }) {
                cut.push(fault);
            }
        };
        if matches!(content.format, Format::Text(_) | Format::Nfcapd) {
            let mut item = |item: LineItem, _| {
                if let Some(header) = header(&item) {
                    finder.packet(&header);
                }
                !finder.is_full()
            };
            let mut progress = steps(input, &name, &content.read, options, true);
            let mut step = |number, _| {
                progress(number);
                true
            };
            let sinks = LineSinks { item: &mut item, tell: &mut tell, step: &mut step };
            // A log without IPv6 has no say, and stops nobody.
            if read_lines(input, content, options, sinks)?.of_use > 0 {
                captures.push(name.clone());
            }
            continue;
        }
        let mut is_empty = true;
        let mut progress = steps(input, &name, &content.read, options, true);
        each_packet(&name, content, &mut tell, &mut |frame, traced| {
            is_empty = false;
            if frame.number.is_multiple_of(STEP) {
                progress(frame.number);
            }
            if let Ok(header) = &traced.parsed {
                finder.packet(header);
            }
            !finder.is_full()
        })?;
        // Nor does a capture without a frame.
        if !is_empty {
            captures.push(name.clone());
        }
    }
    let name = match &captures[..] {
        [] => return Ok(None),
        [name] => name.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    finder.find().map(Some).map_err(|reason| {
        // It may be why.
        cut.into_iter().for_each(tell_cut);
        ReadError::HomeUnclear { name, reason }
    })
}

/// Who speaks to whom.
fn header(item: &LineItem) -> Option<Header> {
    match item {
        LineItem::Packet(seen) => Some(seen.header),
        LineItem::Flow(record) => Some(record.opening()),
        LineItem::Half(half) => Some(flow::header(half)),
        LineItem::Observation(_) | LineItem::Backup(_) | LineItem::Nothing => None,
    }
}
