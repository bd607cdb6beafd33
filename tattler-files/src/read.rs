//! All of a list of inputs.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use ipnet::Ipv6Net;
use jiff::tz::TimeZone;
use sensor_common::GiveUp;
use tattler_core::observation::Observation;
use tattler_core::time::Time;

use super::capture::trace::Traced;
use super::capture::{CapturedFrame, Frames};
use super::find_home::find_home;
use super::flow::LineOrigin;
use super::input::{Content, Format};
use super::position::Position;
use super::rules::Rules;
use super::sink::{Functions, Sink};
use super::text::{self, LogClock, LineCounts, Dialect, LineItem, LineSinks};
use super::{ReadError, Fault, Input, nfcapd};

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Home prefixes, for all but JSON Lines; found out if there are none.
    pub home: Vec<Ipv6Net>,
    /// The zone of times that name none; UTC if it is not given.
    pub zone: Option<TimeZone>,
    /// The year of the first line of a log without years; otherwise the latest that is possible.
    pub year: Option<i16>,
    /// The present: what is far ahead of it is refused. `None`: nothing is.
    pub now: Option<Time>,
    /// What was read before; what is known is not told again.
    pub known: Vec<Position>,
    /// Is told how far the reading is, now and then.
    pub progress: Option<fn(&ReadProgress<'_>)>,
}

/// How far a reading is.
#[derive(Clone, Copy, Debug)]
pub struct ReadProgress<'a> {
    /// The input.
    pub name: &'a str,
    /// Bytes read of it, as it lies on the disk.
    pub read: u64,
    /// Its size, where it has one.
    pub size: Option<u64>,
    /// Lines or frames.
    pub items: u64,
    /// This is the first of two readings, which finds out what is home; the second one begins anew.
    pub finds_home: bool,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// Observations that were handed on.
    pub observations: u64,
    /// Lines of text, blank ones left out.
    pub lines: u64,
    /// Of these, skipped.
    pub bad_lines: u64,
    /// Of these, with an observation, a packet or a flow of IPv6 in them.
    pub lines_of_use: u64,
    /// Frames of captures.
    pub frames: u64,
    /// Of these, IPv6 that the parser read.
    pub packets: u64,
    /// Frames that it gave up on, by reason, in the order of [`GiveUp::COUNTED`].
    pub gave_up: [u64; GiveUp::COUNTED.len()],
    /// Faults that were told.
    pub faults: u64,
    /// What was home in captures, logs and flows.
    pub home: Vec<Ipv6Net>,
    /// It was found out.
    pub home_is_inferred: bool,
    /// Lines and frames that [`ReadOptions::known`] says were read before.
    pub known: u64,
    /// How far each input was read. That of JSON Lines is their beginning: they are taken as a whole each
    /// time, unless that was interrupted.
    pub positions: Vec<Position>,
}

impl ReadSummary {
    /// LineCounts a frame for what the parser made of it.
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
/// one knows, as `tcpdump -C` writes them. So are logs, as long as they go on in time.
///
/// # Errors
/// One of them can't be read at all; the observations handed on so far are then no result.
pub fn read(
    inputs: &[Input],
    options: &ReadOptions,
    observe: &mut dyn FnMut(Observation),
    tell: &mut dyn FnMut(Fault),
) -> Result<ReadSummary, ReadError> {
    read_into(inputs, options, &mut Functions { observe, tell })
}

/// As [`read`], into a sink that may end it, and may keep what it has so far.
///
/// # Errors
/// As [`read`].
pub fn read_into(inputs: &[Input], options: &ReadOptions, sink: &mut dyn Sink) -> Result<ReadSummary, ReadError> {
    let mut summary = ReadSummary { home: options.home.clone(), ..ReadSummary::default() };
    if summary.home.is_empty() {
        summary.home.extend(find_home(inputs, options, &mut |fault| sink.tell(fault))?);
        summary.home_is_inferred = !summary.home.is_empty();
    }
    let rules = RefCell::new(Rules::new(summary.home.clone()));
    let sink = RefCell::new(sink);
    let observations = Cell::new(0);
    let mut observe = |observation| {
        observations.set(observations.get() + 1);
        sink.borrow_mut().observe(observation);
    };
    let mut asides = 0;
    let faults = Cell::new(0);
    let mut tell = |fault| {
        faults.set(faults.get() + 1);
        sink.borrow_mut().tell(fault);
    };
    let mut reached = Reached::default();
    for (index, input) in inputs.iter().enumerate() {
        if !sink.borrow().goes_on() {
            break;
        }
        let name = input.to_string();
        let content = input.open()?;
        let needs_home = content.format != Format::Text(Dialect::JsonLines);
        if needs_home && options.home.is_empty() && !input.is_rereadable() {
            return Err(ReadError::HomeUnknown { name });
        }
        let (start, known) = start(input, &content, &options.known);
        let mut items = 0;
        let mut progress = steps(input, &name, &content.read, options, false);
        // All items before this one were handed in.
        let mut step = |number: u64, is_certain: bool| {
            progress(number);
            let is_wanted = is_certain && sink.borrow().wants_positions();
            if let Some(start) = start.filter(|_| is_wanted) {
                let here = Position { items: (number - 1).max(known), ..start };
                let positions = reached.and(index, known, here).before(rules.borrow().earliest());
                sink.borrow_mut().reached(&positions);
            }
            sink.borrow().goes_on()
        };
        match content.format {
            Format::Text(_) | Format::Nfcapd => {
                let mut item = |item: LineItem, number| {
                    let is_old = number <= known;
                    let origin = LineOrigin { at: (index, number), is_old };
                    let mut rules = rules.borrow_mut();
                    match item {
                        LineItem::Observation(observation) if !is_old => observe(observation),
                        LineItem::Packet(seen) => rules.packet(seen, is_old, &mut observe),
                        LineItem::Flow(record) => rules.flow(record, origin, &mut observe),
                        LineItem::Half(half) => rules.half(half, origin, &mut observe),
                        LineItem::Backup(aside) if asides < MOST_ASIDES => {
                            asides += 1;
                            sink.borrow_mut().aside(aside);
                        }
                        LineItem::Observation(_) | LineItem::Backup(_) | LineItem::Nothing => {}
                    }
                    true
                };
                let sinks = LineSinks { item: &mut item, tell: &mut tell, step: &mut step };
                let counts = read_lines(input, content, options, sinks)?;
                items = counts.whole;
                summary.lines += counts.all;
                summary.bad_lines += counts.bad;
                summary.lines_of_use += counts.of_use;
            }
            Format::Pcap | Format::Pcapng => each_packet(&name, content, &mut tell, &mut |frame, traced| {
                if frame.number % STEP == 0 && !step(frame.number, true) {
                    return false;
                }
                summary.count(traced);
                items = frame.number;
                if let Ok(header) = &traced.parsed
                    && let Some(observation) = rules.borrow_mut().watch.packet(header, frame.nanos)
                    && frame.number > known
                {
                    observe(observation);
                }
                true
            })?,
        }
        if let Some(start) = start {
            summary.known += known.min(items);
            reached = reached.and(index, known, Position { items: items.max(known), ..start });
            if sink.borrow().wants_positions() {
                sink.borrow_mut().reached(&reached.before(rules.borrow().earliest()));
            }
        }
    }
    rules.borrow_mut().finish(&mut observe);
    if let ([first, ..], true) =
        (inputs, summary.lines > 0 && summary.lines_of_use + summary.bad_lines + summary.frames == 0)
    {
        tell(Fault::NothingOfUse { name: first.to_string() });
    }
    summary.faults = faults.get();
    summary.positions = reached.at_the_end();
    summary.observations = observations.get();
    Ok(summary)
}

/// How far the inputs were read that have positions.
#[derive(Clone, Debug, Default)]
struct Reached(Vec<(usize, u64, Position)>);

impl Reached {
    /// With how far one more was read, by its number; so much of it was known before.
    fn and(&self, index: usize, known: u64, position: Position) -> Reached {
        Reached(self.0.iter().copied().chain([(index, known, position)]).collect())
    }

    /// What of it comes before a line that has not been told yet, if there is one.
    fn before(&self, waiting: Option<(usize, u64)>) -> Vec<Position> {
        let until = waiting.unwrap_or((usize::MAX, 0));
        let reached = self.0.iter().filter(|(index, ..)| *index <= until.0);
        let position = |&(index, known, position): &(usize, u64, Position)| match until {
            (waits, line) if waits == index => Position { items: (line - 1).max(known), ..position },
            _ => position,
        };
        reached.map(position).collect()
    }

    /// All is told: JSON Lines begin anew the next time.
    fn at_the_end(&self) -> Vec<Position> {
        let position = |&(_, _, position): &(usize, u64, Position)| match position {
            Position { head_length: 0, .. } => Position { items: 0, ..position },
            _ => position,
        };
        self.0.iter().map(position).collect()
    }
}

/// The beginning of an input, if it can be told from others, and how many items of it are known.
fn start(input: &Input, content: &Content, known: &[Position]) -> (Option<Position>, u64) {
    if content.format != Format::Text(Dialect::JsonLines) {
        return (Some(Position::start(&content.head)), Position::known(known, &content.head));
    }
    let Some(meta) = input.metadata().filter(fs::Metadata::is_file) else { return (None, 0) };
    let written = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let start = Position::start_of_whole(&content.head, meta.len(), Time(written.as_micros() as i64));
    (Some(start), start.known_of_whole(known))
}

/// Asides that are handed on; nobody acknowledges so many remotes.
const MOST_ASIDES: usize = 100_000;
/// Frames between two words of progress.
pub(super) const STEP: u64 = 1 << 14;

/// What tells progress of an input.
pub(super) fn steps<'a>(
    input: &Input,
    name: &'a str,
    read: &Arc<AtomicU64>,
    options: &ReadOptions,
    finds_home: bool,
) -> impl FnMut(u64) + use<'a> {
    let size = input.metadata().filter(fs::Metadata::is_file).map(|meta| meta.len());
    let (read, progress) = (Arc::clone(read), options.progress);
    move |items| {
        if let Some(progress) = progress {
            progress(&ReadProgress { name, read: read.load(Ordering::Relaxed), size, items, finds_home });
        }
    }
}

/// Reads the lines of a text, or those that nfdump prints.
pub(super) fn read_lines(
    input: &Input,
    content: Content,
    options: &ReadOptions,
    sinks: LineSinks<'_>,
) -> Result<LineCounts, ReadError> {
    let name = input.to_string();
    let written = input.metadata().and_then(|meta| {
        let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        meta.is_file().then_some(Time::from_seconds(since.as_secs() as i64))
    });
    let clock = |zone| LogClock::new(zone, options.year, written, options.now);
    match (content.format, input) {
        (Format::Text(dialect), _) => {
            let clock = clock(options.zone.clone().unwrap_or(TimeZone::UTC));
            text::read(&name, content.reader, dialect, clock, sinks)
        }
        (_, Input::File(path)) if content.head.starts_with(&magic(path)) => {
            let reader: Box<dyn Read> = Box::new(nfcapd::open(&name, path)?);
            text::read(&name, reader, Dialect::Nfdump, clock(TimeZone::UTC), sinks)
        }
        _ => Err(ReadError::Nfcapd { name, reason: "unpack it into a file of its own".into() }),
    }
}

/// The first two bytes of a file as it lies on the disk: nfdump unpacks nothing.
fn magic(path: &std::path::Path) -> [u8; 2] {
    let mut magic = [0; 2];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() { magic } else { [0; 2] }
}

/// Runs the parser over each frame of a capture, until `packet` says no.
///
/// # Errors
/// The capture's header can't be read, or no frame of it.
pub fn each_packet(
    name: &str,
    content: Content,
    tell: &mut dyn FnMut(Fault),
    packet: &mut dyn FnMut(&CapturedFrame<'_>, &Traced) -> bool,
) -> Result<(), ReadError> {
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
