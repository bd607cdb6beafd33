//! Reads a list of inputs into a sink.

use ipnet::Ipv6Net;
use tattler_core::observation::Observation;

use super::capture::Packets;
use super::find_home::find_home;
use super::flow::LineOrigin;
use super::input::Format;
use super::open::{self, InputLines};
use super::options::ReadOptions;
use super::progress::{Reporter, STEP};
use super::reached::{self, Reached};
use super::rules::Rules;
use super::sink::{Functions, Sink};
use super::text::{Dialect, LineItem};
use super::{Fault, Input, Position, ReadError};

/// The most backup entries that a reading hands on. No user acknowledges so many remotes.
const MOST_BACKUP_ENTRIES: usize = 100_000;

/// The result of a reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// Number of observations handed on.
    pub observations: u64,
    /// Number of text lines, without blank lines.
    pub lines: u64,
    /// Number of lines that were skipped.
    pub bad_lines: u64,
    /// Number of lines with an observation, or with a packet or flow of IPv6.
    pub lines_of_use: u64,
    /// Number of frames in captures.
    pub frames: u64,
    /// Number of faults reported.
    pub faults: u64,
    /// The home prefixes of captures, logs and flows.
    pub home: Vec<Ipv6Net>,
    /// Whether the home prefix was inferred.
    pub home_is_inferred: bool,
    /// Number of lines and frames that were known from [`ReadOptions::known`].
    pub known: u64,
    /// The position reached in each input. The position of JSON Lines is the beginning: JSON Lines are read as a
    /// whole each time, unless a reading was interrupted.
    pub positions: Vec<Position>,
}

/// Reads `inputs` one after the other. All captures count as one capture, as `tcpdump -C` splits captures: the rules
/// remember one file while reading the next. The same holds for logs, as long as time does not go back.
///
/// # Errors
/// An input can't be read at all. The observations handed on so far are then incomplete.
pub fn read(
    inputs: &[Input],
    options: &ReadOptions,
    observe: &mut dyn FnMut(Observation),
    report: &mut dyn FnMut(Fault),
) -> Result<ReadSummary, ReadError> {
    read_into(inputs, options, &mut Functions { observe, report })
}

/// Reads like [`read`], into a sink that may stop the reading and store its observations before the end.
///
/// # Errors
/// See [`read`].
pub fn read_into(inputs: &[Input], options: &ReadOptions, sink: &mut dyn Sink) -> Result<ReadSummary, ReadError> {
    let mut summary = ReadSummary { home: options.home.clone(), ..ReadSummary::default() };
    if summary.home.is_empty() {
        summary.home.extend(find_home(inputs, options, &mut |fault| sink.report(fault))?);
        summary.home_is_inferred = !summary.home.is_empty();
    }
    let rules = Rules::new(summary.home.clone());
    let mut reading = Reading { options, sink, rules, reached: Reached::default(), backup_entries: 0, summary };
    for (index, input) in inputs.iter().enumerate() {
        if !reading.sink.goes_on() {
            break;
        }
        reading.input(index, input)?;
    }
    Ok(reading.finish(inputs))
}

/// A reading of all inputs.
struct Reading<'a> {
    options: &'a ReadOptions,
    sink: &'a mut dyn Sink,
    rules: Rules,
    reached: Reached,
    backup_entries: usize,
    summary: ReadSummary,
}

/// The input that is being read.
struct Current<'a> {
    index: usize,
    /// Number of items that an earlier reading has read.
    known: u64,
    reporter: Reporter<'a>,
}

impl Reading<'_> {
    fn input(&mut self, index: usize, input: &Input) -> Result<(), ReadError> {
        let name = input.to_string();
        let content = input.open()?;
        let needs_home = content.format != Format::Text(Dialect::JsonLines);
        if needs_home && self.options.home.is_empty() && !input.is_rereadable() {
            return Err(ReadError::HomeUnknown { name });
        }
        let (start, known) = reached::start(input, &content, &self.options.known);
        if let Some(start) = start {
            self.reached.begin(index, known, start);
        }
        let reporter = Reporter::new(&name, input, &content, self.options, false);
        let current = Current { index, known, reporter };
        let items = match content.format {
            Format::Text(_) | Format::Nfcapd => {
                self.lines(&current, open::lines(&name, input, content, self.options)?)?
            }
            Format::Pcap | Format::Pcapng => self.packets(&current, Packets::new(&name, content)?),
        };
        self.summary.known += known.min(items);
        self.reach(index, items);
        Ok(())
    }

    /// Reads a text. Returns the number of whole lines.
    fn lines(&mut self, current: &Current<'_>, mut lines: InputLines) -> Result<u64, ReadError> {
        loop {
            let number = lines.number() + 1;
            if number.is_multiple_of(STEP) && !self.step(current, number, lines.is_certain()) {
                break;
            }
            match lines.next(&mut |fault| self.report(fault))? {
                Some(item) => self.item(item, current, number),
                None => break,
            }
        }
        let counts = lines.finish(&mut |fault| self.report(fault));
        self.summary.lines += counts.all;
        self.summary.bad_lines += counts.bad;
        self.summary.lines_of_use += counts.of_use;
        Ok(counts.whole)
    }

    fn item(&mut self, item: LineItem, current: &Current<'_>, number: u64) {
        let is_old = number <= current.known;
        let origin = LineOrigin { at: (current.index, number), is_old };
        let observations = &mut self.summary.observations;
        let mut observe = |observation| observe(self.sink, observations, observation);
        match item {
            LineItem::Observation(observation) if !is_old => observe(observation),
            LineItem::Packet(packet) => self.rules.packet(packet, is_old, &mut observe),
            LineItem::Flow(record) => self.rules.flow(record, origin, &mut observe),
            LineItem::Half(half) => self.rules.half(half, origin, &mut observe),
            LineItem::Backup(entry) if self.backup_entries < MOST_BACKUP_ENTRIES => {
                self.backup_entries += 1;
                self.sink.backup(entry);
            }
            LineItem::Observation(_) | LineItem::Backup(_) | LineItem::Nothing => {}
        }
    }

    /// Reads a capture. Returns the number of frames.
    fn packets(&mut self, current: &Current<'_>, mut packets: Packets) -> u64 {
        let mut items = 0;
        while let Some((frame, traced)) = packets.next(&mut |fault| self.report(fault)) {
            if frame.number.is_multiple_of(STEP) && !self.step(current, frame.number, true) {
                break;
            }
            self.summary.frames += 1;
            items = frame.number;
            if let Ok(header) = &traced.parsed
                && let Some(observation) = self.rules.observer.packet(header, frame.nanos)
                && frame.number > current.known
            {
                observe(self.sink, &mut self.summary.observations, observation);
            }
        }
        items
    }

    /// Called from time to time, before the item `number`. `is_certain` if no later item can change the earlier
    /// items. Returns whether to read on.
    fn step(&mut self, current: &Current<'_>, number: u64, is_certain: bool) -> bool {
        current.reporter.report(number);
        if is_certain {
            self.reach(current.index, number - 1);
        }
        self.sink.goes_on()
    }

    /// Moves an input's position behind this number of items. An input without a position is one part: no observation
    /// of the input may be stored before the end of the input.
    fn reach(&mut self, index: usize, items: u64) {
        if self.reached.advance(index, items) && self.sink.wants_positions() {
            self.sink.reached(&self.reached.before(self.rules.earliest()));
        }
    }

    fn report(&mut self, fault: Fault) {
        self.summary.faults += 1;
        self.sink.report(fault);
    }

    fn finish(mut self, inputs: &[Input]) -> ReadSummary {
        let observations = &mut self.summary.observations;
        self.rules.finish(&mut |observation| observe(self.sink, observations, observation));
        let ReadSummary { lines, lines_of_use, bad_lines, frames, .. } = self.summary;
        if let ([first, ..], true) = (inputs, lines > 0 && lines_of_use + bad_lines + frames == 0) {
            self.report(Fault::NothingOfUse { name: first.to_string() });
        }
        ReadSummary { positions: self.reached.at_the_end(), ..self.summary }
    }
}

fn observe(sink: &mut dyn Sink, observations: &mut u64, observation: Observation) {
    *observations += 1;
    sink.observe(observation);
}
