//! Integers in the byte order of a file, and the part of each frame that the parser reads.

use std::io::{self, BufRead};

use sensor_common::packet::FAR;

use crate::Stop;

/// Number of bytes of a frame that are kept. The parser reads no further.
const KEPT: usize = FAR + 64;

/// The byte order of a file, or of a section in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Converts bytes from this order to big-endian order.
    pub(super) fn to_big<const N: usize>(self, mut bytes: [u8; N]) -> [u8; N] {
        if self == ByteOrder::Little {
            bytes.reverse();
        }
        bytes
    }
}

/// A reader for a file with a byte order.
pub(super) struct Bytes<R> {
    pub(super) reader: R,
    pub(super) order: ByteOrder,
}

impl<R: BufRead> Bytes<R> {
    /// Whether the file ends here.
    pub(super) fn at_end(&mut self) -> Result<bool, Stop> {
        loop {
            match self.reader.fill_buf() {
                Ok(bytes) => return Ok(bytes.is_empty()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut array = [0; N];
        self.reader.read_exact(&mut array)?;
        Ok(array)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Stop> {
        let bytes = self.array()?;
        Ok(u16::from_be_bytes(self.order.to_big(bytes)))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        let bytes = self.array()?;
        Ok(u32::from_be_bytes(self.order.to_big(bytes)))
    }

    /// Skips `length` bytes.
    pub(super) fn skip(&mut self, length: u64) -> Result<(), Stop> {
        let mut left = length;
        while left > 0 {
            if self.at_end()? {
                return Err(Stop::CutShort);
            }
            let step = self.reader.fill_buf()?.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.reader.consume(step);
            left -= step as u64;
        }
        Ok(())
    }

    /// Reads a frame of `length` bytes. `frame` keeps the first [`KEPT`] bytes.
    pub(super) fn frame(&mut self, length: u32, frame: &mut Vec<u8>) -> Result<(), Stop> {
        let kept = KEPT.min(length as usize);
        frame.resize(kept, 0);
        self.reader.read_exact(frame)?;
        self.skip(u64::from(length) - kept as u64)
    }
}
