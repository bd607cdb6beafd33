//! Opens the lines of an input, whether it is a text or needs nfdump.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;

use jiff::tz::TimeZone;
use tattler_core::time::Time;

use super::input::{Content, Format};
use super::options::ReadOptions;
use super::text::{Dialect, LogClock, TextReader};
use super::{Input, ReadError, nfcapd};

/// The lines of a text, or the lines that nfdump prints.
pub(super) type InputLines = TextReader<Box<dyn Read>>;

/// Opens the lines of an input.
pub(super) fn lines(
    name: &str,
    input: &Input,
    content: Content,
    options: &ReadOptions,
) -> Result<InputLines, ReadError> {
    let written = input.metadata().and_then(|meta| {
        let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        meta.is_file().then_some(Time::from_seconds(since.as_secs() as i64))
    });
    let clock = |zone| LogClock::new(zone, options.year, written, options.now);
    match (content.format, input) {
        (Format::Text(dialect), _) => {
            let clock = clock(options.zone.clone().unwrap_or(TimeZone::UTC));
            Ok(TextReader::new(name, content.reader, dialect, clock))
        }
        (_, Input::File(path)) if content.head.starts_with(&first_bytes(path)) => {
            let reader = Box::new(nfcapd::open(name, path)?);
            Ok(TextReader::new(name, reader, Dialect::Nfdump, clock(TimeZone::UTC)))
        }
        _ => Err(ReadError::Nfcapd { name: name.into(), reason: "decompress it into a file of its own".into() }),
    }
}

/// The first two bytes of a file on the disk. These differ from the content if the file is compressed. nfdump does
/// not decompress.
fn first_bytes(path: &Path) -> [u8; 2] {
    let mut bytes = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_ok() { bytes } else { [0; 2] }
}
