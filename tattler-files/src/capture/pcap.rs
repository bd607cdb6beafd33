//! The pcap format: draft-ietf-opsawg-pcap.

use std::io::BufRead;

use super::bytes::{ByteOrder, Bytes};
use super::{LinkType, Nanos};
use crate::Stop;

/// The longest accepted frame: twice the longest packet of the kernel (BIG TCP). A record with a greater length is
/// damaged.
const LONGEST: u32 = 1 << 20;

/// The records of a file.
pub(super) struct Records<R> {
    bytes: Bytes<R>,
    /// Number of nanoseconds in a unit of the second time field.
    unit: i64,
    /// Number of bytes between the header of a record and its frame.
    extra: u64,
    pub(super) link_type: LinkType,
}

impl<R: BufRead> Records<R> {
    /// Reads the header of the file.
    pub(super) fn new(reader: R) -> Result<Self, Stop> {
        let mut bytes = Bytes { reader, order: ByteOrder::Big };
        let magic = bytes.u32()?;
        if matches!(magic, 0xd4c3_b2a1 | 0x4d3c_b2a1 | 0x34cd_b2a1) {
            bytes.order = ByteOrder::Little;
        }
        let (unit, extra) = match magic {
            0xa1b2_c3d4 | 0xd4c3_b2a1 => (1_000, 0),
            0xa1b2_3c4d | 0x4d3c_b2a1 => (1, 0),
            // Kuznetsov's patch of 1998 puts interface, protocol and packet type before each frame.
            0xa1b2_cd34 | 0x34cd_b2a1 => (1_000, 8),
            _ => return Err(Stop::Damaged(format!("magic {magic:#010x}"))),
        };
        // Skip the version, two reserved words and the snapshot length. Frames have their own lengths, and some
        // tools write wrong versions and snapshot lengths.
        bytes.skip(16)?;
        // The upper bits describe a frame check sequence, which stands last and is never read.
        let link_type = LinkType((bytes.u32()? & 0xffff) as u16);
        Ok(Records { bytes, unit, extra, link_type })
    }

    /// Reads the next frame into `frame`; `None` at the end.
    pub(super) fn next(&mut self, frame: &mut Vec<u8>) -> Result<Option<Nanos>, Stop> {
        if self.bytes.at_end()? {
            return Ok(None);
        }
        let (seconds, fraction) = (self.bytes.u32()?, self.bytes.u32()?);
        let (length, _on_the_wire) = (self.bytes.u32()?, self.bytes.u32()?);
        if length > LONGEST {
            return Err(Stop::Damaged(format!("a frame of {length} bytes")));
        }
        self.bytes.skip(self.extra)?;
        self.bytes.frame(length, frame)?;
        Ok(Some(i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.unit))
    }
}
