//! All of a list of inputs.

use ipnet::Ipv6Net;
use sensor_common::GiveUp;

use super::capture::home::HomeFinder;
use super::capture::trace::Traced;
use super::capture::{Frame, Frames, Watch};
use super::input::{Content, Format};
use super::{Error, Fault, Input, jsonl};
use crate::observation::Observation;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Home prefixes of captures; found out if there are none.
    pub home: Vec<Ipv6Net>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Observations that were handed on.
    pub observations: u64,
    /// Lines of JSON, blank ones left out.
    pub lines: u64,
    /// Of these, skipped.
    pub bad_lines: u64,
    /// Frames of captures.
    pub frames: u64,
    /// Of these, IPv6 that the parser read.
    pub packets: u64,
    /// Frames that it gave up on, by reason, in the order of [`GiveUp::COUNTED`].
    pub gave_up: [u64; GiveUp::COUNTED.len()],
    /// Faults that were told.
    pub faults: u64,
    /// What was home in captures.
    pub home: Vec<Ipv6Net>,
    /// What JSON Lines held beside observations.
    pub asides: Vec<jsonl::Aside>,
}

impl Summary {
    /// Counts a frame for what the parser made of it.
    pub fn count(&mut self, traced: &Traced) {
        self.frames += 1;
        match traced.parsed {
            Ok(_) => self.packets += 1,
            Err(reason) => {
                if let Some(index) = GiveUp::COUNTED.iter().position(|&counted| counted == reason) {
                    self.gave_up[index] += 1;
                }
            }
        }
    }
}

/// Reads `inputs` one after the other. Captures are one capture: what one file remembers, the next
/// one knows, as `tcpdump -C` writes them.
///
/// # Errors
/// One of them can't be read at all; the observations handed on so far are then no result.
pub fn read(
    inputs: &[Input],
    options: &Options,
    observe: &mut dyn FnMut(Observation),
    tell: &mut dyn FnMut(Fault),
) -> Result<Summary, Error> {
    let mut summary = Summary { home: options.home.clone(), ..Summary::default() };
    if summary.home.is_empty() {
        summary.home.extend(find_home(inputs)?);
    }
    let mut watch = Watch::new(summary.home.clone());
    let mut faults = 0;
    let mut tell = |fault| {
        faults += 1;
        tell(fault);
    };
    for input in inputs {
        let name = input.to_string();
        let content = input.open()?;
        if content.format == Format::JsonLines {
            let mut counted = |observation| {
                summary.observations += 1;
                observe(observation);
            };
            let lines = jsonl::read(&name, content.reader, &mut counted, &mut tell);
            summary.lines += lines.all;
            summary.bad_lines += lines.bad;
            summary.asides.extend(lines.asides);
            continue;
        }
        if options.home.is_empty() && !input.is_rereadable() {
            return Err(Error::HomeUnknown { name });
        }
        each_packet(&name, content, &mut tell, &mut |frame, traced| {
            summary.count(traced);
            if let Ok(header) = &traced.parsed
                && let Some(observation) = watch.packet(header, frame.nanos)
            {
                summary.observations += 1;
                observe(observation);
            }
            true
        })?;
    }
    summary.faults = faults;
    Ok(summary)
}

/// Finds out what is home in the captures among `inputs`; `None` if there is none.
fn find_home(inputs: &[Input]) -> Result<Option<Ipv6Net>, Error> {
    let mut finder = HomeFinder::default();
    let mut captures = Vec::new();
    for input in inputs.iter().filter(|input| input.is_rereadable()) {
        let content = input.open()?;
        if content.format == Format::JsonLines {
            continue;
        }
        let name = input.to_string();
        // Faults are told when the file is read again.
        each_packet(&name, content, &mut |_| {}, &mut |_, traced| {
            if let Ok(header) = &traced.parsed {
                finder.packet(header);
            }
            true
        })?;
        captures.push(name);
    }
    let name = match &captures[..] {
        [] => return Ok(None),
        [name] => name.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    finder.find().map(Some).map_err(|reason| Error::HomeUnclear { name, reason })
}

/// Runs the parser over each frame of a capture, until `packet` says no.
///
/// # Errors
/// The capture's header can't be read, or no frame of it.
pub fn each_packet(
    name: &str,
    content: Content,
    tell: &mut dyn FnMut(Fault),
    packet: &mut dyn FnMut(&Frame<'_>, &Traced) -> bool,
) -> Result<(), Error> {
    let mut frames = Frames::new(name, content)?;
    let mut read = 0;
    let mut unknown_told = false;
    loop {
        match frames.next() {
            Ok(Some(frame)) => {
                read = frame.number;
                let traced = Traced::new(&frame);
                if traced.parsed == Err(GiveUp::UnknownLink) && !unknown_told {
                    unknown_told = true;
                    tell(Fault::LinkType { name: name.into(), link_type: frame.link_type.0, frame: frame.number });
                }
                if !packet(&frame, &traced) {
                    return Ok(());
                }
            }
            Ok(None) if read == 0 => {
                tell(Fault::Nothing { name: name.into(), way_out: "capture again" });
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(stop) => {
                tell(Fault::Stopped { name: name.into(), unit: "frame", number: read + 1, stop });
                return Ok(());
            }
        }
    }
}
