//! A number for what crosses the kernel boundary: maps and events that an earlier program left are
//! taken over only by a program that lays them out alike.

use crate::counters::COUNTERS;
use crate::names;
use crate::wire::RECORDS;

/// To be raised when fields stay as they are and mean something else: another number for a kind, a
/// counter in another place, a time of another clock, a map of another kind or of another fixed size.
const MEANING: u64 = 1;

/// FNV-1a's start and factor, for 64 bits.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const FACTOR: u64 = 0x0000_0100_0000_01b3;

/// The layout of all records and of the counters. `sizes` are those of the maps, which settings
/// change: a map that is reused keeps the size that it was made with.
#[must_use]
pub const fn of(sizes: &[u64]) -> u64 {
    let mut hash = number(number(START, MEANING), COUNTERS as u64);
    let mut at = 0;
    while at < RECORDS.len() {
        hash = number(text(hash, RECORDS[at].0), RECORDS[at].1 as u64);
        at += 1;
    }
    at = 0;
    while at < names::MAPS.len() {
        hash = text(hash, names::MAPS[at]);
        at += 1;
    }
    at = 0;
    while at < sizes.len() {
        hash = number(hash, sizes[at]);
        at += 1;
    }
    hash
}

const fn number(hash: u64, number: u64) -> u64 {
    bytes(hash, &number.to_le_bytes())
}

const fn text(hash: u64, text: &str) -> u64 {
    // Its end, so that two texts are not one.
    bytes(bytes(hash, text.as_bytes()), &[0])
}

const fn bytes(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FACTOR);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_depends_on_records_and_sizes() {
        assert_eq!(of(&[1, 2]), of(&[1, 2]));
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert!(RECORDS.len() >= 9);
        assert!(RECORDS[0].0.starts_with("Event"), "{}", RECORDS[0].0);
        assert!(RECORDS.iter().all(|(fields, size)| fields.contains(':') && *size > 0));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the reference's test vectors (draft-eastlake-fnv).
        assert_eq!(bytes(START, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
