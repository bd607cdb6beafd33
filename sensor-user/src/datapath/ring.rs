//! Drains the ring.
//!
//! Reading and releasing are two steps: events stay in the ring until they are stored, so that they are still there if
//! the sensor is killed meanwhile. aya's reader releases each record when it is read, so this is a reader of our own.
//! The layout of the mapped pages is in kernel/bpf/ringbuf.c and libbpf's ringbuf.c: a page with the consumer's
//! position, a page with the producer's position, and the records, mapped twice so that a record at the end is
//! contiguous.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Acquire;

use aya::maps::MapData;
use sensor_common::wire::Event;

use super::pages::{Pages, Word};
use super::{Datapath, LoadError};

/// The size of the header before each record: its length with two flags, and a page number for the kernel.
const HEADER: usize = 8;
/// Reserved and not submitted yet (BPF_RINGBUF_BUSY_BIT).
const BUSY: u32 = 1 << 31;
/// Discarded by a program (BPF_RINGBUF_DISCARD_BIT).
const DISCARDED: u32 = 1 << 30;

/// The result of one [`Datapath::drain`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events.
    pub events: usize,
    /// Records with a length that no event has.
    pub invalid: usize,
}

impl Datapath {
    /// Yields up to `most` events, oldest first. [`release`](Datapath::release) frees their room.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(Event)) -> Drained {
        let mut drained = Drained::default();
        while drained.events + drained.invalid < most {
            let Some(record) = self.ring.next() else { break };
            match Event::decode(record) {
                Some(event) => {
                    take(event);
                    drained.events += 1;
                }
                None => drained.invalid += 1,
            }
        }
        // Half of the ring stays free for new events, even if the store is late.
        self.ring.release_beyond(self.ring.size / 2);
        drained
    }

    /// Whether there are unread events.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.ring.waiting() > 0
    }

    /// The bytes read since the ring was created.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.read
    }

    /// Frees the room of the events before a position.
    pub fn release(&mut self, position: u64) {
        self.ring.release(position);
    }
}

/// The mapped ring of events. Only one process at a time may read it.
pub(super) struct EventRing {
    consumer: Pages,
    producer: Pages,
    word: Word,
    /// The size of the records in bytes; a power of two.
    size: usize,
    /// The position of the next record.
    read: u64,
    /// The position up to which room is free for the kernel.
    released: u64,
}

impl EventRing {
    /// Maps a ring. Reading continues at the released position, where an earlier run stopped.
    pub(super) fn open(map: &MapData) -> Result<EventRing, LoadError> {
        let size = map.info()?.max_entries() as usize;
        let page = rustix::param::page_size();
        let (fd, write) = (map.fd().as_fd(), libc::PROT_READ | libc::PROT_WRITE);
        let consumer = Pages::map(fd, 0, page, write).map_err(LoadError::Ring)?;
        let producer = Pages::map(fd, page, page + 2 * size, libc::PROT_READ).map_err(LoadError::Ring)?;
        Ok(EventRing::over(consumer, producer, size, Word::of_kernel()))
    }

    fn over(consumer: Pages, producer: Pages, size: usize, word: Word) -> EventRing {
        let released = consumer.position(word, 0);
        EventRing { consumer, producer, word, size, read: released, released }
    }

    /// The next record. `None` if there is none or it is not submitted yet.
    fn next(&mut self) -> Option<&[u8]> {
        loop {
            let waiting = self.waiting();
            // The kernel is never further ahead than the size of the ring.
            if waiting == 0 || waiting > self.size as u64 {
                return None;
            }
            let at = self.at(self.read);
            let head = self.producer.word(at)?.load(Acquire);
            if head & BUSY != 0 {
                return None;
            }
            let (length, with_header) = length(head);
            self.read = self.read.wrapping_add(with_header as u64);
            if head & DISCARDED == 0 {
                return self.producer.bytes(at + HEADER, length);
            }
        }
    }

    /// Continues at `position`, up to which an earlier run stored everything. Returns the bytes that it had released
    /// without storing them.
    pub(super) fn skip_to(&mut self, position: u64) -> u64 {
        let ahead = position.wrapping_sub(self.read);
        if ahead <= self.waiting() {
            // Goes from record to record. A position between two of them is not a mark of this ring.
            let start = self.read;
            while self.read.wrapping_sub(start) < ahead && self.next().is_some() {}
            if self.read == position {
                self.release(position);
            } else {
                self.read = start;
            }
            return 0;
        }
        let behind = self.read.wrapping_sub(position);
        // A position further away belongs to another ring.
        if behind < ahead { behind } else { 0 }
    }

    /// Reads all records and returns their number.
    pub(super) fn count(&mut self) -> u64 {
        let mut records = 0;
        while self.next().is_some() {
            records += 1;
        }
        records
    }

    /// Unread bytes.
    pub(super) fn waiting(&self) -> u64 {
        self.producer.position(self.word, self.read).wrapping_sub(self.read)
    }

    fn release(&mut self, position: u64) {
        // Never back, and never beyond the read position.
        if position.wrapping_sub(self.released) <= self.read.wrapping_sub(self.released) {
            self.released = position;
            self.consumer.set_position(self.word, position);
        }
    }

    /// Releases records until at most `most` bytes are read and not released. Only whole records, because the next run
    /// begins to read there.
    fn release_beyond(&mut self, most: usize) {
        let mut position = self.released;
        while self.read.wrapping_sub(position) > most as u64 {
            let Some(head) = self.producer.word(self.at(position)) else { break };
            position = position.wrapping_add(length(head.load(Acquire)).1 as u64);
        }
        self.release(position);
    }

    /// The offset of the record at a position, after the page with the producer's position.
    fn at(&self, position: u64) -> usize {
        self.producer.length() - 2 * self.size + (position as usize & (self.size - 1))
    }
}

/// The length of a record, and its length with header and padding.
const fn length(head: u32) -> (usize, usize) {
    let length = (head & !(BUSY | DISCARDED)) as usize;
    (length, (HEADER + length).next_multiple_of(8))
}

/// Prints the log of the programs, in builds for debugging.
#[cfg(feature = "debug-log")]
pub(super) fn forward_log(ebpf: &mut aya::Ebpf) {
    match aya_log::EbpfLogger::init(ebpf) {
        Ok(mut logger) => {
            std::thread::spawn(move || {
                loop {
                    logger.flush();
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            });
        }
        Err(error) => tracing::warn!("the programs' log cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    /// The largest page size of any machine.
    const PAGE: usize = 1 << 16;
    const SIZE: usize = 8_192;
    const RECORD: usize = HEADER + Event::SIZE;

    /// A full ring in a file that begins at a position. All bits of the events are ones: if one is taken for a header,
    /// its record looks busy.
    fn full_ring(from: u64, word: Word) -> (File, EventRing) {
        let mut file = tempfile::tempfile().unwrap();
        let count = SIZE / RECORD;
        let position = |at: u64| match word {
            Word::Bits32 => (at as u32).to_ne_bytes().to_vec(),
            Word::Bits64 => at.to_ne_bytes().to_vec(),
        };
        let mut bytes = position(from);
        bytes.resize(PAGE, 0);
        bytes.extend(position(from + (count * RECORD) as u64));
        bytes.resize(2 * PAGE, 0);
        for _ in 0..count {
            bytes.extend_from_slice(&(Event::SIZE as u64).to_ne_bytes());
            bytes.extend_from_slice(&[0xff; Event::SIZE]);
        }
        bytes.resize(2 * PAGE + 2 * SIZE, 0);
        file.write_all(&bytes).unwrap();
        let ring = open(&file, word);
        (file, ring)
    }

    fn open(file: &File, word: Word) -> EventRing {
        let consumer = Pages::map(file.as_fd(), 0, PAGE, libc::PROT_READ | libc::PROT_WRITE).unwrap();
        let producer = Pages::map(file.as_fd(), PAGE, PAGE + 2 * SIZE, libc::PROT_READ).unwrap();
        EventRing::over(consumer, producer, SIZE, word)
    }

    #[test]
    fn only_whole_records_are_released_when_the_store_is_late() {
        let (file, mut ring) = full_ring(0, Word::Bits64);
        let all = ring.count() as usize * RECORD;
        assert_ne!(SIZE / 2 % RECORD, 0, "half of the ring is no multiple of a record");
        ring.release_beyond(SIZE / 2);
        drop(ring);
        let mut next = open(&file, Word::Bits64);
        let left = next.waiting() as usize;
        assert!(0 < left && left <= SIZE / 2, "{left} bytes");
        // By the mark, no record is stored.
        assert_eq!(next.skip_to(0) as usize, all - left);
        let mut events = 0;
        while let Some(record) = next.next() {
            assert_eq!(record, [0xff; Event::SIZE]);
            events += 1;
        }
        assert_eq!((events * RECORD, next.waiting()), (left, 0));
    }

    #[test]
    fn a_ring_continues_beyond_4_gib_of_events() {
        let whole = SIZE as u64;
        for word in [Word::Bits32, Word::Bits64] {
            // A multiple of the size, so the records begin at the start of the ring.
            let from = (1 << 32) - whole;
            let (file, mut ring) = full_ring(from, word);
            let records = ring.count();
            assert_eq!(records as usize, SIZE / RECORD);
            ring.release(ring.read);
            // The kernel wrote beyond 32 bits.
            let read = ring.read;
            ring.read = (1 << 32) + whole;
            ring.released = read;
            ring.release(ring.read);
            let next = open(&file, word);
            let expected = if word == Word::Bits64 { (1 << 32) + whole } else { whole };
            assert_eq!(next.released, expected, "{word:?}");
        }
    }

    #[test]
    fn a_position_of_32_bits_may_wrap_around() {
        let (_file, ring) = full_ring((1 << 32) - 8, Word::Bits32);
        assert_eq!(ring.waiting() as usize, SIZE / RECORD * RECORD);
    }
}
