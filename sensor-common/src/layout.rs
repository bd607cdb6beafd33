//! A hash of all record layouts, maps and rule constants. Maps and events of a program with another
//! hash are not adopted.

use crate::counters::COUNTERS;
use crate::rules::{QUIET, REFRESH};
use crate::wire::RECORDS;
use crate::{budget, names};

/// Increase this when a field keeps its name and type but changes its meaning: another number for a
/// kind, a counter at another index, a time of another clock.
const MEANING: u64 = 2;
/// Times in the tables are only meaningful to rules with the same constants.
const RULES: [u64; 4] = [QUIET, REFRESH, budget::RATE, budget::BURST];

/// FNV-1a's start and factor, for 64 bits.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const FACTOR: u64 = 0x0000_0100_0000_01b3;

/// The hash of everything that two programs must agree on to share maps. `sizes` are the configured
/// sizes of the maps: a map that is reused keeps its size.
#[must_use]
pub const fn of(sizes: &[u64]) -> u64 {
    let mut hash = number(number(START, MEANING), COUNTERS as u64);
    hash = numbers(hash, &RULES);
    let mut at = 0;
    while at < RECORDS.len() {
        hash = number(text(hash, RECORDS[at].0), RECORDS[at].1 as u64);
        at += 1;
    }
    at = 0;
    while at < names::MAPS.len() {
        hash = text(text(hash, names::MAPS[at]), names::KINDS[at]);
        at += 1;
    }
    numbers(hash, sizes)
}

const fn numbers(mut hash: u64, numbers: &[u64]) -> u64 {
    let mut at = 0;
    while at < numbers.len() {
        hash = number(hash, numbers[at]);
        at += 1;
    }
    hash
}

const fn number(hash: u64, number: u64) -> u64 {
    bytes(hash, &number.to_le_bytes())
}

const fn text(hash: u64, text: &str) -> u64 {
    // With an end mark, so that "ab", "c" and "a", "bc" differ.
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
