//! What can be wrong with an input.

use std::io;

use crate::reason::reason;

/// An input, or all of them, can't be read at all. Each is one line that names the way out.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be opened, or its first bytes not read.
    #[error("cannot read {name}: {}: {}", reason(error), way_out(error))]
    Open {
        /// The input.
        name: String,
        /// Why; told in the line, so it is no source.
        error: io::Error,
    },
    /// Nothing in it.
    #[error("{name} is empty: give a capture, a log or JSON Lines")]
    Empty {
        /// The input.
        name: String,
    },
    /// Content of no known kind.
    #[error("cannot tell what {name} is: give a pcap or pcapng file, a log or JSON Lines, plain, gzip or zstd")]
    Format {
        /// The input.
        name: String,
    },
    /// The compression is damaged before the content begins.
    #[error("cannot unpack {name}: {reason}: fetch or compress it again")]
    Compression {
        /// The input.
        name: String,
        /// Why.
        reason: String,
    },
    /// The capture's header is damaged or cut.
    #[error("cannot read the header of {name}: {stop}: fetch or capture it again")]
    Header {
        /// The input.
        name: String,
        /// Why.
        stop: Stop,
    },
    /// Every packet of the capture has a link type that the parser does not know.
    #[error(
        "{name} has link type {link_type}, which is not supported: capture on an Ethernet, PPP, tun or loopback \
         device, or on `any`"
    )]
    LinkType {
        /// The input.
        name: String,
        /// Its number in the registry of link types.
        link_type: u16,
    },
    /// Something else where packets are wanted.
    #[error("{name} is no capture, but {what}: `tattler packets` takes pcap and pcapng, plain, gzip or zstd")]
    NotACapture {
        /// The input.
        name: String,
        /// What it holds.
        what: &'static str,
    },
    /// nfcapd's files are read by its own program.
    #[error("{name} is an nfcapd file, which nfdump reads: {reason}")]
    Nfcapd {
        /// The input.
        name: String,
        /// Why nfdump can't.
        reason: String,
    },
    /// Lines without a year that go back in time.
    #[error(
        "{name}:{line}: its lines have no year, and here time goes back by more than a week: give the year of the \
         first line with --year, or the files one by one"
    )]
    YearUnclear {
        /// The input.
        name: String,
        /// From 1.
        line: u64,
    },
    /// A capture that can't be read twice, and no home prefix.
    #[error("{name} can be read only once, which leaves home prefixes unknown: give --home PREFIX")]
    HomeUnknown {
        /// The input.
        name: String,
    },
    /// No prefix, or more than one, could be home.
    #[error("cannot tell which prefix of {name} is home: {reason}: give --home PREFIX")]
    HomeUnclear {
        /// The inputs.
        name: String,
        /// What was found instead.
        reason: String,
    },
}

impl ReadError {
    /// Whether other arguments would mend it: exit status 2.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, ReadError::HomeUnknown { .. } | ReadError::HomeUnclear { .. } | ReadError::YearUnclear { .. })
    }
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::PermissionDenied => "run as a user who may read it",
        io::ErrorKind::IsADirectory => "name the files in it",
        _ => "check the disk and the file system",
    }
}

/// A part of an input can't be read; the rest counts. Each is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line that is no observation.
    #[error("{name}:{line}: {reason}: line skipped")]
    Line {
        /// The input.
        name: String,
        /// From 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// More such lines, which were not told one by one.
    #[error("{name}: {more} more lines skipped, {bad} of {lines} in all: mend or remove them")]
    Lines {
        /// The input.
        name: String,
        /// Those not told.
        more: u64,
        /// Bad lines in all.
        bad: u64,
        /// Lines in all, blank ones left out.
        lines: u64,
    },
    /// The last line has no end.
    #[error("{name}:{line} has no line's end: it is cut short or still being written: line skipped")]
    Unfinished {
        /// The input.
        name: String,
        /// From 1.
        line: u64,
    },
    /// Nothing of the inputs is of use.
    #[error("{name} holds no IPv6 packet or flow: check that the log has IPv6 in it")]
    NothingOfUse {
        /// The input, or the first of them.
        name: String,
    },
    /// The input ends, or can't be read on, in the middle.
    #[error("{name} is {stop} at {unit} {number}: what comes before counts, fetch or capture it again for the rest")]
    Stopped {
        /// The input.
        name: String,
        /// `frame` or `line`.
        unit: &'static str,
        /// From 1.
        number: u64,
        /// Why.
        stop: Stop,
    },
    /// Some packets of a capture have a link type that the parser does not know.
    #[error("{name} has packets with link type {link_type} from frame {frame} on, which is not supported: skipped")]
    LinkType {
        /// The input.
        name: String,
        /// Its number in the registry of link types.
        link_type: u16,
        /// The first such frame.
        frame: u64,
    },
    /// A capture without a packet, or JSON Lines without a line.
    #[error("{name} holds nothing: {way_out}")]
    Nothing {
        /// The input.
        name: String,
        /// What to do.
        way_out: &'static str,
    },
}

/// Why an input can't be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It ends in the middle of something.
    #[error("cut short")]
    CutShort,
    /// It is not what it should be.
    #[error("damaged ({0})")]
    Damaged(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Stop::CutShort,
            _ => Stop::Damaged(error.to_string()),
        }
    }
}
