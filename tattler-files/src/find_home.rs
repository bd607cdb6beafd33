//! Infers the home prefix if the user gave none, with an additional reading of the inputs.

use ipnet::Ipv6Net;
use sensor_common::Header;

use super::capture::Packets;
use super::capture::home::HomeFinder;
use super::input::Format;
use super::options::ReadOptions;
use super::progress::{Reporter, STEP};
use super::text::{Dialect, LineItem};
use super::{Fault, Input, ReadError, flow, open};

/// Infers the home prefix of all `inputs` except JSON Lines; `None` if all inputs are JSON Lines.
///
/// # Errors
/// The prefix is unclear. Before returning this error, `find_home` reports each input that ended too early to
/// `report`.
pub(super) fn find_home(
    inputs: &[Input],
    options: &ReadOptions,
    report: &mut dyn FnMut(Fault),
) -> Result<Option<Ipv6Net>, ReadError> {
    let mut finder = HomeFinder::default();
    let mut names = Vec::new();
    let mut cut = Vec::new();
    for input in inputs.iter().filter(|input| input.is_rereadable()) {
        let content = input.open()?;
        if content.format == Format::Text(Dialect::JsonLines) {
            continue;
        }
        let name = input.to_string();
        // If inference succeeds, the second reading reports all faults.
        let mut keep_cut = |fault| {
            if matches!(fault, Fault::Stopped { .. }) {
                cut.push(fault);
            }
        };
        let reporter = Reporter::new(&name, input, &content, options, true);
        let mut is_of_use = false;
        match content.format {
            Format::Text(_) | Format::Nfcapd => {
                let mut lines = open::lines(&name, input, content, options)?;
                while let Some(item) = lines.next(&mut keep_cut)? {
                    if lines.number().is_multiple_of(STEP) {
                        reporter.report(lines.number());
                    }
                    if let Some(header) = header(&item) {
                        finder.packet(&header);
                    }
                    is_of_use |= item != LineItem::Nothing;
                    if is_of_use && finder.is_full() {
                        break;
                    }
                }
            }
            Format::Pcap | Format::Pcapng => {
                let mut packets = Packets::new(&name, content)?;
                while let Some((frame, traced)) = packets.next(&mut keep_cut) {
                    is_of_use = true;
                    if frame.number.is_multiple_of(STEP) {
                        reporter.report(frame.number);
                    }
                    if let Ok(header) = &traced.parsed {
                        finder.packet(header);
                    }
                    if finder.is_full() {
                        break;
                    }
                }
            }
        }
        // A log without IPv6 or a capture without frames must not stop the reading.
        if is_of_use {
            names.push(name);
        }
    }
    let name = match &names[..] {
        [] => return Ok(None),
        [name] => name.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    finder.find().map(Some).map_err(|reason| {
        // The unclear prefix may result from an input that ended too early.
        cut.into_iter().for_each(report);
        ReadError::HomeUnclear { name, reason }
    })
}

/// The header of the item's packet, with the known fields.
fn header(item: &LineItem) -> Option<Header> {
    match item {
        LineItem::Packet(packet) => Some(packet.header),
        LineItem::Flow(record) => Some(record.opening()),
        LineItem::Half(half) => Some(flow::header(half)),
        LineItem::Observation(_) | LineItem::Backup(_) | LineItem::Nothing => None,
    }
}
