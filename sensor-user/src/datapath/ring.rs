//! Draining the ring.
//!
//! Reading and giving room back are two steps here: what was read stays in the ring until it is in
//! the store, so that a sensor that is killed meanwhile finds it again in its next life. aya's reader
//! gives the room back with each record, hence one of our own. The layout of the mapped pages is that
//! of kernel/bpf/ringbuf.c and libbpf's ringbuf.c: a page with the consumer's position, a page with the
//! producer's, and the records twice over, so that none is cut at the end.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Acquire;

use aya::maps::MapData;
use sensor_common::wire::Event;

use super::pages::{Pages, Word};
use super::{Datapath, LoadError};

/// Before each record: its length with two flags, and where its page is, which is the kernel's concern.
const HEADER: usize = 8;
/// Reserved by a program and not yet submitted (BPF_RINGBUF_BUSY_BIT).
const BUSY: u32 = 1 << 31;
/// Given up by a program (BPF_RINGBUF_DISCARD_BIT).
const DISCARDED: u32 = 1 << 30;

/// What one turn took out of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events handed on.
    pub events: usize,
    /// Records of a length that no event has.
    pub invalid: usize,
}

impl Datapath {
    /// Hands on up to `most` events, oldest first, and returns how many there were. Their room is
    /// given back by [`release`](Datapath::release).
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
        // However late the store is, half of the ring takes what comes.
        self.ring.release_beyond(self.ring.size / 2);
        drained
    }

    /// Whether something in the ring waits to be read.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.ring.waiting() > 0
    }

    /// How far the ring was read: bytes since it was made.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.read
    }

    /// Gives back the room of what was read up to a position.
    pub fn release(&mut self, position: u64) {
        self.ring.release(position);
    }
}

/// The ring of events, mapped. One process at a time may read it.
pub(super) struct Ring {
    consumer: Pages,
    producer: Pages,
    word: Word,
    /// Bytes of records; a power of two.
    size: usize,
    /// Where the next record begins.
    read: u64,
    /// Up to where room was given back; what the kernel goes by.
    released: u64,
}

impl Ring {
    /// Maps a ring. It is read on from where room was given back, which is where another life stopped.
    pub(super) fn open(map: &MapData) -> Result<Ring, LoadError> {
        let size = map.info()?.max_entries() as usize;
        let page = rustix::param::page_size();
        let (fd, write) = (map.fd().as_fd(), libc::PROT_READ | libc::PROT_WRITE);
        let consumer = Pages::map(fd, 0, page, write).map_err(LoadError::Ring)?;
        let producer = Pages::map(fd, page, page + 2 * size, libc::PROT_READ).map_err(LoadError::Ring)?;
        Ok(Ring::over(consumer, producer, size, Word::of_kernel()))
    }

    fn over(consumer: Pages, producer: Pages, size: usize, word: Word) -> Ring {
        let released = consumer.position(word, 0);
        Ring { consumer, producer, word, size, read: released, released }
    }

    /// The next record. `None` if there is none, or if it is being written.
    fn next(&mut self) -> Option<&[u8]> {
        loop {
            let waiting = self.waiting();
            // The kernel never writes further ahead than the ring is large.
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

    /// Reads on from `position`, up to which an earlier life brought everything to the store. Returns
    /// the bytes that it gave back to the kernel and never brought so far.
    pub(super) fn skip_to(&mut self, position: u64) -> u64 {
        let ahead = position.wrapping_sub(self.read);
        if ahead <= self.waiting() {
            // By its records: a mark that is not at one is none.
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
        // Else it is of another ring.
        if behind < ahead { behind } else { 0 }
    }

    /// Reads all that waits, and says how many records that were.
    pub(super) fn count(&mut self) -> u64 {
        let mut records = 0;
        while self.next().is_some() {
            records += 1;
        }
        records
    }

    /// Bytes that wait to be read.
    pub(super) fn waiting(&self) -> u64 {
        self.producer.position(self.word, self.read).wrapping_sub(self.read)
    }

    fn release(&mut self, position: u64) {
        // Not back, and not beyond what was read.
        if position.wrapping_sub(self.released) <= self.read.wrapping_sub(self.released) {
            self.released = position;
            self.consumer.set_position(self.word, position);
        }
    }

    /// Leaves at most so many bytes between what is read and what is released. Gives back whole
    /// records: a next life begins to read there.
    fn release_beyond(&mut self, most: usize) {
        let mut position = self.released;
        while self.read.wrapping_sub(position) > most as u64 {
            let Some(head) = self.producer.word(self.at(position)) else { break };
            position = position.wrapping_add(length(head.load(Acquire)).1 as u64);
        }
        self.release(position);
    }

    /// Where the record at a position is: behind the page of the producer's position.
    fn at(&self, position: u64) -> usize {
        self.producer.length() - 2 * self.size + (position as usize & (self.size - 1))
    }
}

/// The length of a record that was submitted or discarded, and that with its header, up to the next.
const fn length(head: u32) -> (usize, usize) {
    let length = (head & !(BUSY | DISCARDED)) as usize;
    (length, (HEADER + length).next_multiple_of(8))
}

/// Prints what the programs log; built in for work on them only.
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

    /// Of the machine with the largest ones.
    const PAGE: usize = 1 << 16;
    const SIZE: usize = 8_192;
    const RECORD: usize = HEADER + Event::SIZE;

    /// A ring in a file, read up to a position at which it begins, with as many records of an event's
    /// length as fit it, of nothing but ones: a header looked for in them is that of a record that is being
    /// written.
    fn full_ring(from: u64, word: Word) -> (File, Ring) {
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

    fn open(file: &File, word: Word) -> Ring {
        let consumer = Pages::map(file.as_fd(), 0, PAGE, libc::PROT_READ | libc::PROT_WRITE).unwrap();
        let producer = Pages::map(file.as_fd(), PAGE, PAGE + 2 * SIZE, libc::PROT_READ).unwrap();
        Ring::over(consumer, producer, SIZE, word)
    }

    #[test]
    fn a_life_that_could_not_wait_for_the_store_leaves_whole_records_to_the_next() {
        let (file, mut ring) = full_ring(0, Word::Bits64);
        let all = ring.count() as usize * RECORD;
        assert_ne!(SIZE / 2 % RECORD, 0, "half of the ring is no multiple of a record");
        ring.release_beyond(SIZE / 2);
        drop(ring);
        let mut next = open(&file, Word::Bits64);
        let left = next.waiting() as usize;
        assert!(0 < left && left <= SIZE / 2, "{left} bytes");
        // Nothing of it is in the store, by the mark.
        assert_eq!(next.skip_to(0) as usize, all - left);
        let mut events = 0;
        while let Some(record) = next.next() {
            assert_eq!(record, [0xff; Event::SIZE]);
            events += 1;
        }
        assert_eq!((events * RECORD, next.waiting()), (left, 0));
    }

    #[test]
    fn a_ring_goes_on_beyond_4_gib_of_events() {
        let whole = SIZE as u64;
        for word in [Word::Bits32, Word::Bits64] {
            // The ring is at its start again at each multiple of its size.
            let from = (1 << 32) - whole;
            let (file, mut ring) = full_ring(from, word);
            let records = ring.count();
            assert_eq!(records as usize, SIZE / RECORD);
            ring.release(ring.read);
            // The kernel wrote on, beyond 32 bits.
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
    fn a_position_of_32_bits_is_found_where_it_wraps() {
        let (_file, ring) = full_ring((1 << 32) - 8, Word::Bits32);
        assert_eq!(ring.waiting() as usize, SIZE / RECORD * RECORD);
    }
}
