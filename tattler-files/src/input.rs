//! Opens a file or standard input, and detects its format.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::ReadError;
use super::text::Dialect;

mod zstd;
use zstd::ZstdDecoder;

/// The source of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input, `-` on the command line.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// The format of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A capture in pcap format.
    Pcap,
    /// A capture in pcapng format.
    Pcapng,
    /// Lines of text.
    Text(Dialect),
    /// Flow records of nfcapd, nfpcapd or nfdump.
    Nfcapd,
}

/// An open input, decompressed.
pub struct Content {
    /// Format of the content.
    pub format: Format,
    /// First bytes of the content.
    pub head: Vec<u8>,
    /// All bytes of the content, from the first byte.
    pub reader: Box<dyn BufRead>,
    /// Number of bytes read from the file so far, as stored on the disk.
    pub read: Arc<AtomicU64>,
}

impl Input {
    /// The input that an argument of the command line names.
    #[must_use]
    pub fn from_argument(argument: &OsStr) -> Input {
        if argument == "-" { Input::Stdin } else { Input::File(argument.into()) }
    }

    /// Whether the input can be read twice. Standard input and pipes can be read only once.
    #[must_use]
    pub fn is_rereadable(&self) -> bool {
        match self {
            Input::Stdin => false,
            // If reading the metadata fails, opening the file reports the error.
            Input::File(path) => fs::metadata(path).map_or(true, |meta| meta.is_file()),
        }
    }

    /// The metadata of a file.
    #[must_use]
    pub fn metadata(&self) -> Option<fs::Metadata> {
        match self {
            Input::Stdin => None,
            Input::File(path) => fs::metadata(path).ok(),
        }
    }

    /// Opens the input and detects its format.
    ///
    /// # Errors
    /// The input can't be read, is empty, or has an unknown format.
    pub fn open(&self) -> Result<Content, ReadError> {
        let name = || self.to_string();
        let file: Box<dyn Read> = match self {
            Input::Stdin => Box::new(io::stdin()),
            Input::File(path) => Box::new(File::open(path).map_err(|error| ReadError::Open { name: name(), error })?),
        };
        let read = Arc::new(AtomicU64::new(0));
        let file = Counted { file, read: Arc::clone(&read) };
        let (head, reader) = peek(file).map_err(|error| ReadError::Open { name: name(), error })?;
        let unpacked: Box<dyn Read> = match head[..] {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(reader)),
            _ if zstd::is_magic(&head) => Box::new(ZstdDecoder::new(reader)),
            _ => return detect(name(), head, reader, read),
        };
        let (head, reader) = peek(unpacked).map_err(|error| {
            let reason = super::Stop::from(error).to_string();
            ReadError::Compression { name: name(), reason }
        })?;
        detect(name(), head, reader, read)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Stdin => f.write_str("standard input"),
            Input::File(path) => path.display().fmt(f),
        }
    }
}

fn detect(name: String, head: Vec<u8>, reader: Box<dyn BufRead>, read: Arc<AtomicU64>) -> Result<Content, ReadError> {
    if head.is_empty() {
        return Err(ReadError::Empty { name });
    }
    let format = Format::of(&head).ok_or(ReadError::Format { name })?;
    Ok(Content { format, head, reader, read })
}

/// Counts the bytes read, to show progress.
struct Counted<R> {
    file: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Format {
    /// The format of content that begins with `head`.
    fn of(head: &[u8]) -> Option<Format> {
        match head {
            [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0xcd, 0x34, ..]
            | [0x34, 0xcd, 0xb2, 0xa1, ..] => Some(Format::Pcap),
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Some(Format::Pcapng),
            // nfdump 1.6 writes version 1, and nfdump 1.7 writes version 2. Both are in the byte order of the
            // machine.
            [0x0c, 0xa5, 1 | 2, 0, ..] | [0xa5, 0x0c, 0, 1 | 2, ..] => Some(Format::Nfcapd),
            // The content is text. If the dialect is unknown, each line is reported as bad.
            _ if head.iter().all(|&byte| byte >= b' ' || b"\t\n\r".contains(&byte)) => {
                Some(Format::Text(Dialect::of(head)))
            }
            _ => None,
        }
    }
}

/// Number of bytes from which the format is detected. Some dialects have a long first line.
const HEAD: usize = 4_096;

/// Reads the first bytes. Returns the first bytes, and a reader that starts with these bytes. If an error follows
/// some bytes, the reader returns the error after these bytes.
fn peek(mut reader: impl Read + 'static) -> io::Result<(Vec<u8>, Box<dyn BufRead>)> {
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    let mut failed = None;
    while filled < HEAD {
        match reader.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if filled < 4 => return Err(error),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    head.truncate(filled);
    let rest = Rest { failed, reader };
    let whole = Cursor::new(head.clone()).chain(BufReader::with_capacity(1 << 16, rest));
    Ok((head, Box::new(whole)))
}

/// The bytes after the head. If reading the head failed, the error comes first.
struct Rest<R> {
    failed: Option<io::Error>,
    reader: R,
}

impl<R: Read> Read for Rest<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.reader.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_detected_by_content() {
        assert_eq!(Format::of(&[0x0a, 0x0d, 0x0d, 0x0a, 0, 0]), Some(Format::Pcapng));
        assert_eq!(Format::of(&[0xd4, 0xc3, 0xb2, 0xa1]), Some(Format::Pcap));
        assert_eq!(Format::of(b"{\"type\":\"probe\"}"), Some(Format::Text(Dialect::JsonLines)));
        assert_eq!(Format::of(b"\n# note\n"), Some(Format::Text(Dialect::JsonLines)));
        assert_eq!(Format::of(&[0x0c, 0xa5, 2, 0]), Some(Format::Nfcapd));
        assert_eq!(Format::of(b"\x7fELF\x02"), None);
    }
}
