//! The position up to which an input was read, so that the next reading hands on only new observations.
//!
//! A log that grows, is renamed (`kern.log` to `kern.log.1`) or compressed is the same log: the log begins with the
//! same bytes. The known lines of a log are read again, because the rules need their memory and headers matter. The
//! observations of known lines are dropped.

use serde::{Deserialize, Serialize};
use tattler_core::time::Time;

/// The position up to which an input was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Number of hashed bytes at the beginning of the input: 4,096, or all bytes of a shorter input. 0 for a file
    /// that counts as another file after any change.
    pub head_length: u32,
    /// Hash of these bytes: FNV-1a with 64 bits, the same on all machines. The hash does not resist attackers.
    pub head_hash: u64,
    /// Number of whole lines, or of frames of a capture, that were read so far.
    pub items: u64,
}

impl Position {
    /// The start position of an input with these first bytes.
    #[must_use]
    pub fn start(head: &[u8]) -> Position {
        Position { head_length: head.len() as u32, head_hash: fnv(head), items: 0 }
    }

    /// The start position of a file that counts as another file after any change, because all exports have the same
    /// first bytes.
    #[must_use]
    pub fn start_of_whole(head: &[u8], size: u64, written: Time) -> Position {
        let bytes = [&size.to_le_bytes()[..], &written.0.to_le_bytes(), head].concat();
        Position { head_length: 0, head_hash: fnv(&bytes), items: 0 }
    }

    /// Number of known items in the file with this start position.
    #[must_use]
    pub fn known_of_whole(self, positions: &[Position]) -> u64 {
        let same = |known: &&Position| (known.head_length, known.head_hash) == (0, self.head_hash);
        positions.iter().filter(same).map(|known| known.items).max().unwrap_or(0)
    }

    /// Number of known items in the input that begins with `head`, according to the furthest of `positions`.
    #[must_use]
    pub fn known(positions: &[Position], head: &[u8]) -> u64 {
        // Nearly all positions have the same head length, so keep the hash of the last head.
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
    fn a_log_that_grew_is_the_same_log() {
        let position = Position { items: 7, ..Position::start(b"one\ntwo\n") };
        assert_eq!(Position::known(&[position], b"one\ntw"), 0);
        assert_eq!(Position::known(&[position], b"one\nTwo\nthree\n"), 0);
        assert_eq!(Position::known(&[position, Position { items: 9, ..position }], b"one\ntwo\nthree\n"), 9);
        assert_eq!(Position::known(&[position], b"other"), 0);
    }

    #[test]
    fn exports_with_the_same_first_bytes_differ() {
        let of = |size, seconds| Position::start_of_whole(b"one", size, Time::from_seconds(seconds));
        let known = [Position { items: 7, ..of(3, 5) }, Position { items: 9, ..Position::start(b"one") }];
        assert_eq!([of(3, 5), of(4, 5), of(3, 6)].map(|position| position.known_of_whole(&known)), [7, 0, 0]);
        assert_eq!(Position::known(&known[..1], b"one"), 0);
    }
}
