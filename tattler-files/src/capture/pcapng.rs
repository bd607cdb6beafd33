//! The pcapng format: draft-ietf-opsawg-pcapng.
//!
//! Only sections, interfaces and packets are read. Other blocks are skipped.

use std::io::{BufRead, Cursor};

use super::bytes::{ByteOrder, Bytes};
use super::{LinkType, Nanos};
use crate::Stop;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// An obsolete block type that some tools still write.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// The most interfaces of a section.
const MOST_INTERFACES: usize = 1 << 16;
/// Number of bytes that are read from the options of an interface. The two options that matter come early.
const OPTIONS: u32 = 1 << 16;

/// Reads the packets of a file.
pub(super) struct Blocks<R> {
    bytes: Bytes<R>,
    interfaces: Vec<Interface>,
    /// Time of the last packet with a time. Simple packets have no time.
    last: Nanos,
}

#[derive(Clone, Copy)]
struct Interface {
    link_type: LinkType,
    /// Length of the longest frame that the interface captures, in bytes; 0 for no limit.
    snapshot: u32,
    /// Number of time units in a second.
    resolution: u128,
    /// Number of seconds to add to each time.
    offset: i64,
}

/// The bytes of a block's body that are not read yet.
struct Body(u32);

impl Body {
    /// Marks `length` bytes as read.
    fn take(&mut self, length: u32) -> Result<(), Stop> {
        self.0 = self.0.checked_sub(length).ok_or_else(|| Stop::Damaged("a block too short for its content".into()))?;
        Ok(())
    }
}

impl<R: BufRead> Blocks<R> {
    /// Reads the header of the first section.
    pub(super) fn new(reader: R) -> Result<Self, Stop> {
        let mut blocks = Blocks { bytes: Bytes { reader, order: ByteOrder::Little }, interfaces: Vec::new(), last: 0 };
        let kind = blocks.bytes.u32()?;
        if kind != SECTION_HEADER {
            return Err(Stop::Damaged("no section header".into()));
        }
        blocks.section()?;
        Ok(blocks)
    }

    /// Reads the next frame into `frame`; `None` at the end.
    pub(super) fn next(&mut self, frame: &mut Vec<u8>) -> Result<Option<(Nanos, LinkType)>, Stop> {
        while !self.bytes.at_end()? {
            let kind = self.bytes.u32()?;
            if kind == SECTION_HEADER {
                self.section()?;
                continue;
            }
            let length = self.bytes.u32()?;
            let mut body = body(length)?;
            let packet = match kind {
                INTERFACE_DESCRIPTION => {
                    self.interface(&mut body)?;
                    None
                }
                ENHANCED_PACKET | PACKET => Some(self.packet(kind, &mut body, frame)?),
                SIMPLE_PACKET => Some(self.simple_packet(&mut body, frame)?),
                _ => None,
            };
            self.finish(body, length)?;
            if packet.is_some() {
                return Ok(packet);
            }
        }
        Ok(None)
    }

    /// Reads a section header after the block type. Each section has its own byte order and interfaces.
    fn section(&mut self) -> Result<(), Stop> {
        let length = self.bytes.array()?;
        self.bytes.order = match self.bytes.array()? {
            [0x1a, 0x2b, 0x3c, 0x4d] => ByteOrder::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => ByteOrder::Little,
            _ => return Err(Stop::Damaged("a section of unknown byte order".into())),
        };
        let length = u32::from_be_bytes(self.bytes.order.to_big(length));
        let mut body = body(length)?;
        body.take(4)?;
        self.interfaces.clear();
        self.finish(body, length)
    }

    fn interface(&mut self, body: &mut Body) -> Result<(), Stop> {
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(Stop::Damaged(format!("more than {MOST_INTERFACES} interfaces in a section")));
        }
        body.take(8)?;
        let link_type = LinkType(self.bytes.u16()?);
        self.bytes.skip(2)?;
        let snapshot = self.bytes.u32()?;
        let mut interface = Interface { link_type, snapshot, resolution: 1_000_000, offset: 0 };
        let kept = body.0.min(OPTIONS);
        body.take(kept)?;
        let mut options = vec![0; kept as usize];
        self.bytes.reader.read_exact(&mut options)?;
        interface.read_options(&options, self.bytes.order);
        self.interfaces.push(interface);
        Ok(())
    }

    fn packet(&mut self, kind: u32, body: &mut Body, frame: &mut Vec<u8>) -> Result<(Nanos, LinkType), Stop> {
        body.take(20)?;
        let id = if kind == ENHANCED_PACKET {
            self.bytes.u32()?
        } else {
            let id = self.bytes.u16()?;
            self.bytes.skip(2)?; // frames dropped
            u32::from(id)
        };
        let (high, low) = (self.bytes.u32()?, self.bytes.u32()?);
        let (captured, _on_the_wire) = (self.bytes.u32()?, self.bytes.u32()?);
        body.take(captured)?;
        let interface = self.interface_of(id)?;
        self.bytes.frame(captured, frame)?;
        self.last = interface.nanos(u64::from(high) << 32 | u64::from(low));
        Ok((self.last, interface.link_type))
    }

    fn simple_packet(&mut self, body: &mut Body, frame: &mut Vec<u8>) -> Result<(Nanos, LinkType), Stop> {
        body.take(4)?;
        let on_the_wire = self.bytes.u32()?;
        let interface = self.interface_of(0)?;
        let snapshot = if interface.snapshot == 0 { u32::MAX } else { interface.snapshot };
        let captured = on_the_wire.min(snapshot).min(body.0);
        body.take(captured)?;
        self.bytes.frame(captured, frame)?;
        Ok((self.last, interface.link_type))
    }

    fn interface_of(&self, id: u32) -> Result<Interface, Stop> {
        let unknown = || Stop::Damaged(format!("a packet of the unknown interface {id}"));
        self.interfaces.get(id as usize).copied().ok_or_else(unknown)
    }

    /// Skips the rest of a block, and reads the length at its end.
    fn finish(&mut self, rest: Body, length: u32) -> Result<(), Stop> {
        // Blocks are padded to a multiple of four bytes, even if the stated length is not a multiple of four.
        let padding = length.next_multiple_of(4) - length;
        self.bytes.skip(u64::from(rest.0) + u64::from(padding))?;
        let again = self.bytes.u32()?;
        if again != length {
            return Err(Stop::Damaged(format!("a block of {length} bytes whose end says {again}")));
        }
        Ok(())
    }
}

/// The body of a block of `length` bytes, excluding the type and both lengths.
fn body(length: u32) -> Result<Body, Stop> {
    match length.checked_sub(12) {
        Some(body) if length <= u32::MAX - 3 => Ok(Body(body)),
        _ => Err(Stop::Damaged(format!("a block of {length} bytes"))),
    }
}

impl Interface {
    fn read_options(&mut self, options: &[u8], order: ByteOrder) {
        const TIME_RESOLUTION: u16 = 9;
        const TIME_OFFSET: u16 = 14;
        let mut bytes = Bytes { reader: Cursor::new(options), order };
        while let (Ok(code), Ok(length)) = (bytes.u16(), bytes.u16()) {
            match (code, length) {
                (0, _) => return,
                (TIME_RESOLUTION, 1) => {
                    let Ok([resolution, _, _, _]) = bytes.array() else { return };
                    let exponent = u32::from(resolution & 0x7f);
                    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
                    self.resolution = base.checked_pow(exponent).unwrap_or(u128::MAX);
                }
                (TIME_OFFSET, 8) => {
                    let Ok(offset) = bytes.array() else { return };
                    self.offset = i64::from_be_bytes(order.to_big(offset));
                }
                _ => {
                    if bytes.skip(u64::from(length.next_multiple_of(4).max(length))).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn nanos(&self, units: u64) -> Nanos {
        const SECOND: u128 = 1_000_000_000;
        let nanos = (u128::from(units) * SECOND / self.resolution) as i128 + i128::from(self.offset) * SECOND as i128;
        nanos.clamp(i128::from(Nanos::MIN), i128::from(Nanos::MAX)) as Nanos
    }
}
