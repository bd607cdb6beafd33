//! How far an input was read, so that reading it again tells only what is new.
//!
//! A log that grows, is renamed (`kern.log` to `kern.log.1`) or compressed is the same log: it begins
//! with the same bytes. Its lines that were read before are read again, because the rules remember and
//! headers count, but what they tell is not handed on.

use serde::{Deserialize, Serialize};
use tattler_core::time::Time;

/// How far an input was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes of its beginning that were looked at; fewer than 4,096 only if it had no more. 0 of a file
    /// that counts as another when anything of it changes.
    pub head_length: u32,
    /// A hash of them, the same everywhere: FNV-1a with 64 bits. It keeps logs apart, not enemies.
    pub head_hash: u64,
    /// Whole lines, or frames of a capture, that were read.
    pub items: u64,
}

impl Position {
    /// The beginning of an input, by its first bytes.
    #[must_use]
    pub fn start(head: &[u8]) -> Position {
        Position { head_length: head.len() as u32, head_hash: fnv(head), items: 0 }
    }

    /// The beginning of a file that was not written to since: one export begins as the next.
    #[must_use]
    pub fn start_of_whole(head: &[u8], size: u64, written: Time) -> Position {
        let bytes = [&size.to_le_bytes()[..], &written.0.to_le_bytes(), head].concat();
        Position { head_length: 0, head_hash: fnv(&bytes), items: 0 }
    }

    /// How many items of the file that begins as this does are known.
    #[must_use]
    pub fn known_of_whole(self, positions: &[Position]) -> u64 {
        let same = |known: &&Position| (known.head_length, known.head_hash) == (0, self.head_hash);
        positions.iter().filter(same).map(|known| known.items).max().unwrap_or(0)
    }

    /// Whether an input that begins with `head` is the one that this position is in.
    #[must_use]
    pub fn is_in(&self, head: &[u8]) -> bool {
        head.get(..self.head_length as usize).is_some_and(|head| !head.is_empty() && fnv(head) == self.head_hash)
    }

    /// How many items of an input that begins with `head` are known, by the furthest of `positions`.
    #[must_use]
    pub fn known(positions: &[Position], head: &[u8]) -> u64 {
        // Nearly all are of one length, whose hash is the same for all.
        let mut last = (0, 0);
        let known = positions.iter().filter(|position| {
            let length = position.head_length;
            let Some(head) = head.get(..length as usize).filter(|head| !head.is_empty()) else { return false };
            if last.0 != length {
                last = (length, fnv(head));
            }
            last.1 == position.head_hash
        });
        known.map(|position| position.items).max().unwrap_or(0)
    }
}

/// The 64-bit FNV-1a hash (RFC 9923).
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_log_that_grew_is_the_same_and_another_is_not() {
        let position = Position { items: 7, ..Position::start(b"one\ntwo\n") };
        assert!(position.is_in(b"one\ntwo\nthree\n"));
        assert!(!position.is_in(b"one\ntw"));
        assert!(!position.is_in(b"one\nTwo\nthree\n"));
        assert_eq!(Position::known(&[position, Position { items: 9, ..position }], b"one\ntwo\nthree\n"), 9);
        assert_eq!(Position::known(&[position], b"other"), 0);
    }

    #[test]
    fn an_export_that_begins_as_another_is_not_the_same() {
        let of = |size, seconds| Position::start_of_whole(b"one", size, Time::from_seconds(seconds));
        let known = [Position { items: 7, ..of(3, 5) }, Position { items: 9, ..Position::start(b"one") }];
        assert_eq!([of(3, 5), of(4, 5), of(3, 6)].map(|position| position.known_of_whole(&known)), [7, 0, 0]);
        assert_eq!(Position::known(&known[..1], b"one"), 0);
    }
}
