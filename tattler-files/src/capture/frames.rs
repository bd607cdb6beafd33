//! The frames of a capture in either format.

use std::io::BufRead;

use super::{LinkType, Nanos, pcap, pcapng};
use crate::input::{Content, Format};
use crate::text::Dialect;
use crate::{ReadError, Stop};

/// A frame.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFrame<'a> {
    /// Number of the frame. The first frame has number 1.
    pub number: u64,
    /// Time of capture.
    pub nanos: Nanos,
    /// Kind of the link-layer header.
    pub link_type: LinkType,
    /// Bytes of the frame, up to the end of the part that the parser can read.
    pub bytes: &'a [u8],
}

/// The frames of a capture.
pub struct Frames {
    records: Records,
    number: u64,
    frame: Vec<u8>,
}

enum Records {
    Pcap(pcap::Records<Box<dyn BufRead>>),
    Pcapng(pcapng::Blocks<Box<dyn BufRead>>),
}

impl Frames {
    /// Reads the header of the capture called `name`.
    ///
    /// # Errors
    /// The header is damaged, its link type is not supported, or the content is no capture.
    pub fn new(name: &str, content: Content) -> Result<Frames, ReadError> {
        let header = |stop| ReadError::Header { name: name.to_owned(), stop };
        let records = match content.format {
            Format::Pcap => {
                let records = pcap::Records::new(content.reader).map_err(header)?;
                if records.link_type.framing().is_none() {
                    return Err(ReadError::LinkType { name: name.to_owned(), link_type: records.link_type.0 });
                }
                Records::Pcap(records)
            }
            Format::Pcapng => Records::Pcapng(pcapng::Blocks::new(content.reader).map_err(header)?),
            Format::Text(dialect) => return Err(not_a_capture(name, text(dialect, &content.head))),
            Format::Nfcapd => return Err(not_a_capture(name, "an nfcapd file")),
        };
        Ok(Frames { records, number: 0, frame: Vec::new() })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged or ends in the middle of a frame.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows its bytes, so this is no iterator")]
    pub fn next(&mut self) -> Result<Option<CapturedFrame<'_>>, Stop> {
        self.number += 1;
        let next = match &mut self.records {
            Records::Pcap(records) => records.next(&mut self.frame)?.map(|nanos| (nanos, records.link_type)),
            Records::Pcapng(blocks) => blocks.next(&mut self.frame)?,
        };
        Ok(next.map(|(nanos, link_type)| CapturedFrame { number: self.number, nanos, link_type, bytes: &self.frame }))
    }
}

fn not_a_capture(name: &str, content: &'static str) -> ReadError {
    ReadError::NotACapture { name: name.to_owned(), content }
}

/// The name for the kind of a text. Outside this function, unknown text counts as JSON Lines.
fn text(dialect: Dialect, head: &[u8]) -> &'static str {
    match dialect {
        Dialect::JsonLines if !head.trim_ascii_start().starts_with(b"{") => "text",
        dialect => dialect.as_str(),
    }
}
