//! The errors and faults of inputs.

use std::io;

/// An error for an input that can't be read at all. Each message is one line that names the way out.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message shows what its fields are")]
pub enum ReadError {
    /// The file or its first bytes can't be read.
    #[error("cannot read {name}: {}: {}", reason(error), way_out(error))]
    Open {
        name: String,
        /// The reason. The message contains the reason, so `source()` returns `None`.
        error: io::Error,
    },
    /// The input is empty.
    #[error("{name} is empty: give a capture, a log or JSON Lines")]
    Empty { name: String },
    /// The format is unknown.
    #[error("unknown format of {name}: give a pcap or pcapng file, a log or JSON Lines, plain, gzip or zstd")]
    Format { name: String },
    /// The compressed data is damaged at its beginning.
    #[error("cannot decompress {name}: {reason}: fetch or compress it again")]
    Compression { name: String, reason: String },
    /// The header of the capture is damaged or cut short.
    #[error("cannot read the header of {name}: {stop}: fetch or capture it again")]
    Header { name: String, stop: Stop },
    /// All packets of the capture have an unsupported link type.
    #[error(
        "{name} has link type {link_type}, which is not supported: capture on an Ethernet, PPP, tun or loopback \
         device, or on `any`"
    )]
    LinkType { name: String, link_type: u16 },
    /// The input has no packets, but `tattler packets` needs them.
    #[error("{name} is no capture, but {content}: `tattler packets` takes pcap and pcapng, plain, gzip or zstd")]
    NotACapture { name: String, content: &'static str },
    /// nfdump can't read the file.
    #[error("{name} is an nfcapd file, which needs nfdump: {reason}")]
    Nfcapd { name: String, reason: String },
    /// Lines without a year go back in time.
    #[error(
        "{name}:{line}: the lines have no year, and here time goes back by more than a week: give the year of the \
         first line with --year, or the files one by one"
    )]
    YearUnclear { name: String, line: u64 },
    /// The home prefix is not given, and inference is impossible, because the input can't be read twice.
    #[error("{name} can be read only once, so the home prefix can not be inferred: give --home PREFIX")]
    HomeUnknown { name: String },
    /// No prefix, or more than one prefix, may be home.
    #[error("cannot infer the home prefix of {name}: {reason}: give --home PREFIX")]
    HomeUnclear { name: String, reason: String },
}

impl ReadError {
    /// Whether other arguments help. The exit status is then 2.
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

/// A fault in a part of an input that can't be read. The other parts count. Each message is one line. Lines and
/// frames count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message shows what its fields are")]
pub enum Fault {
    /// A bad line.
    #[error("{name}:{line}: {reason}: line skipped")]
    Line { name: String, line: u64, reason: String },
    /// Bad lines that were not reported individually.
    #[error("{name}: {more} more lines skipped, {bad} of {lines} in all: fix or remove them")]
    Lines { name: String, more: u64, bad: u64, lines: u64 },
    /// The last line has no newline.
    #[error("{name}:{line}: no newline, the line is cut short or still being written: line skipped")]
    Unfinished { name: String, line: u64 },
    /// The inputs have no IPv6.
    #[error("{name} has no IPv6 packet or flow: check that the program logs IPv6")]
    NothingOfUse { name: String },
    /// The input ends early, or can't be read beyond a point in the middle.
    #[error("{name} is {stop} at {unit} {number}: all before it counts, fetch or capture it again for the rest")]
    Stopped { name: String, unit: &'static str, number: u64, stop: Stop },
    /// Some packets of a capture have an unsupported link type.
    #[error("{name} has packets with link type {link_type} from frame {frame} on, which is not supported: skipped")]
    LinkType { name: String, link_type: u16, frame: u64 },
    /// The capture has no packets, or the text no lines.
    #[error("{name} has nothing to read: {way_out}")]
    Nothing { name: String, way_out: &'static str },
}

/// The reason why an input can't be read further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The input ends in the middle of a line or frame.
    #[error("cut short")]
    CutShort,
    /// The bytes violate the format.
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

/// The text of a system error, in lower case and without "(os error 13)".
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
