//! A file or standard input, opened and told by its content.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;

use super::Error;

mod zstd;
use zstd::ZstdDecoder;

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input, `-` on the command line.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// What an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A capture in libpcap's first format.
    Pcap,
    /// A capture in pcapng.
    Pcapng,
    /// Observations, one a line.
    JsonLines,
}

/// An input that is open, with its content in plain.
pub struct Content {
    /// What it holds.
    pub format: Format,
    /// From its first byte.
    pub reader: Box<dyn BufRead>,
}

impl Input {
    /// From an argument of the command line.
    #[must_use]
    pub fn from_argument(argument: &OsStr) -> Input {
        if argument == "-" { Input::Stdin } else { Input::File(argument.into()) }
    }

    /// Whether it can be opened again and gives the same bytes: standard input and pipes can't.
    #[must_use]
    pub fn is_rereadable(&self) -> bool {
        match self {
            Input::Stdin => false,
            // What can't be looked at is told when it is opened.
            Input::File(path) => fs::metadata(path).map_or(true, |meta| meta.is_file()),
        }
    }

    /// Opens it and tells its format.
    ///
    /// # Errors
    /// It can't be read, is empty, or is of no known kind.
    pub fn open(&self) -> Result<Content, Error> {
        let name = || self.to_string();
        let file: Box<dyn Read> = match self {
            Input::Stdin => Box::new(io::stdin()),
            Input::File(path) => Box::new(File::open(path).map_err(|error| Error::Open { name: name(), error })?),
        };
        let (head, reader) = peek(file).map_err(|error| Error::Open { name: name(), error })?;
        if head.is_empty() {
            return Err(Error::Empty { name: name() });
        }
        let unpacked: Box<dyn Read> = match head[..] {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(reader)),
            _ if zstd::is_magic(&head) => Box::new(ZstdDecoder::new(reader)),
            _ => return known(name(), &head, reader),
        };
        let (head, reader) = peek(unpacked).map_err(|error| {
            let reason = super::Stop::from(error).to_string();
            Error::Compression { name: name(), reason }
        })?;
        known(name(), &head, reader)
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

fn known(name: String, head: &[u8], reader: Box<dyn BufRead>) -> Result<Content, Error> {
    if head.is_empty() {
        return Err(Error::Empty { name });
    }
    let format = Format::of(head).ok_or(Error::Format { name })?;
    Ok(Content { format, reader })
}

impl Format {
    /// Tells the format by how the content begins.
    fn of(head: &[u8]) -> Option<Format> {
        match head {
            [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0xcd, 0x34, ..]
            | [0x34, 0xcd, 0xb2, 0xa1, ..] => Some(Format::Pcap),
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Some(Format::Pcapng),
            // Text: if it is not JSON, each bad line says so with its number.
            _ if head.iter().all(|&byte| byte >= b' ' || b"\t\n\r".contains(&byte)) => Some(Format::JsonLines),
            _ => None,
        }
    }
}

/// Reads the first bytes, at least four unless there are fewer, and gives back a reader that still
/// has them.
fn peek(mut reader: impl Read + 'static) -> io::Result<(Vec<u8>, Box<dyn BufRead>)> {
    let mut head = vec![0; 512];
    let mut filled = 0;
    while filled < 4 {
        match reader.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(filled);
    let whole = Cursor::new(head.clone()).chain(BufReader::with_capacity(1 << 16, reader));
    Ok((head, Box::new(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content() {
        assert_eq!(Format::of(&[0x0a, 0x0d, 0x0d, 0x0a, 0, 0]), Some(Format::Pcapng));
        assert_eq!(Format::of(&[0xd4, 0xc3, 0xb2, 0xa1]), Some(Format::Pcap));
        assert_eq!(Format::of(b"{\"type\":\"probe\"}"), Some(Format::JsonLines));
        assert_eq!(Format::of(b"\n# note\n"), Some(Format::JsonLines));
        assert_eq!(Format::of(b"\x7fELF\x02"), None);
    }
}
