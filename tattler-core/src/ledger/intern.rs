//! Numbers for addresses and strings: rows stay small, and arrays replace look-ups.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use super::rows::AddrId;

/// Numbers of addresses, with look-ups in both directions.
#[derive(Default)]
pub(super) struct AddressNumbers {
    numbers: HashMap<Ipv6Addr, AddrId>,
    addresses: Vec<Ipv6Addr>,
}

impl AddressNumbers {
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn get(&self, id: AddrId) -> Ipv6Addr {
        self.addresses[id.0 as usize]
    }

    pub(super) fn find(&self, address: Ipv6Addr) -> Option<AddrId> {
        self.numbers.get(&address).copied()
    }

    /// Becomes a copy of `other`. `knows`: whether `self` already is a copy of an earlier, smaller
    /// state of `other`.
    pub(super) fn follow(&mut self, other: &AddressNumbers, knows: bool) {
        if knows {
            let known = self.addresses.len();
            other.addresses[known..].iter().for_each(|&address| _ = self.number(address));
        } else {
            self.numbers.clone_from(&other.numbers);
            self.addresses.clone_from(&other.addresses);
        }
    }

    /// The number of `address`. Assigns a number if there is none. The bounds of the rows also
    /// bound the numbers.
    pub(super) fn number(&mut self, address: Ipv6Addr) -> AddrId {
        *self.numbers.entry(address).or_insert_with(|| {
            self.addresses.push(address);
            AddrId(self.addresses.len() as u32 - 1)
        })
    }
}

/// The maximum number of distinct strings.
const MAX_STRINGS: usize = 65_536;
/// The maximum length of a string, in bytes.
const MAX_BYTES: usize = 256;

/// Numbers of strings. Outsiders choose the strings, so a string beyond the bounds gets no number.
#[derive(Default)]
pub(super) struct Strings {
    numbers: HashMap<Box<str>, u32>,
}

impl Strings {
    /// The string with a number, by linear search: reports show only a few names at a time.
    pub(super) fn get(&self, number: u32) -> Option<&str> {
        self.numbers.iter().find(|&(_, &n)| n == number).map(|(text, _)| &**text)
    }

    /// All strings and their numbers, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &str)> {
        self.numbers.iter().map(|(text, &number)| (number, &**text))
    }

    /// All strings, indexed by number.
    pub(super) fn by_number(&self) -> Vec<&str> {
        let mut all = vec![""; self.numbers.len()];
        for (number, text) in self.all() {
            all[number as usize] = text;
        }
        all
    }

    /// The number of a string, if the string has a number.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// Becomes a copy of `other`. `knows`: whether `self` already is a copy of an earlier, smaller
    /// state of `other`.
    pub(super) fn follow(&mut self, other: &Strings, knows: bool) {
        let known = self.numbers.len();
        if !knows {
            self.numbers.clone_from(&other.numbers);
        } else if known < other.numbers.len() {
            let new = other.numbers.iter().filter(|&(_, &number)| number as usize >= known);
            self.numbers.extend(new.map(|(text, &number)| (text.clone(), number)));
        }
    }

    pub(super) fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(&number) = self.numbers.get(text) {
            return Some(number);
        }
        if text.len() > MAX_BYTES || self.numbers.len() >= MAX_STRINGS {
            return None;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(text.into(), number);
        Some(number)
    }
}
