//! The frame: the ledger arranged by local and time. The frame has the class of each local and the remotes that the
//! local contacted, in order of time.

use std::net::Ipv6Addr;

use sensor_common::IidClass;

use crate::ledger::{AddrId, Ledger, Local, ProbeRow};
use crate::time::{Span, Time};

/// A temporary address is valid for a week. An address in use for longer than its validity plus this time is stable.
const STABLE_AFTER: Span = Span::from_days(1);

/// The first contact of a local with a remote, over any protocol and port.
#[derive(Clone, Copy, Debug)]
pub struct First {
    /// The time of the first exchange.
    pub at: Time,
    /// The remote.
    pub remote: AddrId,
    /// The time of the last exchange between the local and the remote.
    pub last: Time,
    /// Number of exchanges that the local began with the remote, as far as known; at least 1.
    pub count: u32,
    /// The last use of the local by this contact or an earlier contact.
    pub used_until: Time,
}

/// The class of a local, which decides what a probe of the local proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalClass {
    /// A temporary address, or a random address young enough to be temporary: nobody guesses or publishes such an
    /// address.
    Temporary,
    /// A random address that is in use for longer than the lifetime of a temporary address, or that netlink reports
    /// as stable.
    Stable,
    /// An address made from a MAC address.
    Eui64,
    /// A guessable address (RFC 7707).
    Guessable,
    /// A local that is configured as public.
    Public,
}

/// The frame; see the module documentation. The frame numbers the locals in order of first use.
pub struct Frame<'l> {
    /// The ledger that the frame was built from.
    pub ledger: &'l Ledger,
    locals: Vec<&'l Local>,
    classes: Vec<LocalClass>,
    number: Vec<u32>,
    starts: Vec<u32>,
    firsts: Vec<First>,
    /// For each local, the remotes and the times of their first contacts, in the order of the remotes' numbers.
    by_remote: Vec<(AddrId, Time)>,
}

impl<'l> Frame<'l> {
    /// Builds the frame. The order of rows in the ledger does not matter.
    #[must_use]
    pub fn new(ledger: &'l Ledger) -> Frame<'l> {
        let mut locals: Vec<&Local> = ledger.locals().iter().filter(|local| local.used.is_some()).collect();
        locals.sort_by_cached_key(|local| (local.used, ledger.address(local.address)));
        let mut number = vec![u32::MAX; ledger.addresses()];
        for (i, local) in locals.iter().enumerate() {
            number[local.address.0 as usize] = i as u32;
        }
        let mut rows: Vec<(u32, Time, AddrId, Time, u32)> = ledger
            .contacts()
            .iter()
            .map(|row| (number[row.local.0 as usize], row.first, row.remote, row.last, row.count))
            .filter(|row| row.0 != u32::MAX)
            .collect();
        rows.sort_unstable_by_key(|row| (row.0, row.2, row.1));
        rows.dedup_by(|later, earlier| {
            let same = (later.0, later.2) == (earlier.0, earlier.2);
            if same {
                earlier.3 = earlier.3.max(later.3);
                earlier.4 = earlier.4.saturating_add(later.4);
            }
            same
        });
        let by_remote = rows.iter().map(|row| (row.2, row.1)).collect();
        rows.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| ledger.address(a.2).cmp(&ledger.address(b.2)))
        });
        let mut starts = vec![0; locals.len() + 1];
        let mut firsts: Vec<First> = Vec::with_capacity(rows.len());
        let mut previous = u32::MAX;
        for (local, at, remote, last, count) in rows {
            let until = if previous == local { firsts.last().map_or(last, |f| f.used_until.max(last)) } else { last };
            firsts.push(First { at, remote, last, count: count.max(1), used_until: until });
            starts[local as usize + 1] = firsts.len() as u32;
            previous = local;
        }
        for i in 1..starts.len() {
            // A local whose contacts were evicted has no first contacts.
            starts[i] = starts[i].max(starts[i - 1]);
        }
        let validity = ledger.settings().validity;
        let classes = locals.iter().map(|local| class_of(local, &ledger.address(local.address), validity)).collect();
        Frame { ledger, locals, classes, number, starts, firsts, by_remote }
    }

    /// Number of locals that were seen in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.locals.len()
    }

    /// Whether no local was seen in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.locals.is_empty()
    }

    /// The number of a local in the frame, if the local was seen in use.
    #[must_use]
    pub fn number(&self, id: AddrId) -> Option<usize> {
        self.number.get(id.0 as usize).filter(|&&n| n != u32::MAX).map(|&n| n as usize)
    }

    /// The local with the number `number`.
    #[must_use]
    pub fn local(&self, number: usize) -> &'l Local {
        self.locals[number]
    }

    /// The class of a local.
    #[must_use]
    pub fn class(&self, number: usize) -> LocalClass {
        self.classes[number]
    }

    /// The first contacts of a local, in order of time. Contacts at the same time are in order of address.
    #[must_use]
    pub fn firsts(&self, number: usize) -> &[First] {
        &self.firsts[self.starts[number] as usize..self.starts[number + 1] as usize]
    }

    /// Number of remotes that a local had contacted before `at`.
    #[must_use]
    pub fn contacted_before(&self, number: usize, at: Time) -> usize {
        self.firsts(number).partition_point(|first| first.at < at)
    }

    /// Whether a local was no longer home at `at`, so that a probe could not reach the local.
    #[must_use]
    pub fn has_ended(&self, number: usize, at: Time) -> bool {
        self.locals[number].ended.is_some_and(|ended| at >= ended)
    }

    /// Whether the target of a probe had contacted its source before. This is a binary search, since outsiders decide
    /// how many probes hit a local with many contacts.
    #[must_use]
    pub fn is_answer_to_contact(&self, row: &ProbeRow) -> bool {
        row.contacted_source
            || self.number(row.target).is_some_and(|local| {
                let all = &self.by_remote[self.starts[local] as usize..self.starts[local + 1] as usize];
                let at = all.binary_search_by_key(&row.source, |first| first.0);
                at.is_ok_and(|at| all[at].1 < row.first)
            })
    }
}

/// Whether the identifier is made from a MAC address, either universal or locally administered. Virtual machines,
/// containers and phones have locally administered MAC addresses. ([`IidClass`] requires a universal MAC address, as
/// `addr6` does.) One in 65,536 random identifiers looks the same. To misjudge such an identifier costs less than to
/// treat a machine's address as temporary.
fn is_from_mac(address: &Ipv6Addr) -> bool {
    let octets = address.octets();
    octets[11] == 0xff && octets[12] == 0xfe
}

fn class_of(local: &Local, address: &Ipv6Addr, validity: Span) -> LocalClass {
    let age = local.used.map_or(Span(0), |(first, last)| last - first);
    match (local.public, local.temporary, local.iid) {
        (true, _, _) => LocalClass::Public,
        // netlink takes precedence over the form of the identifier.
        (_, Some(true), _) => LocalClass::Temporary,
        (_, _, IidClass::Eui64) => LocalClass::Eui64,
        (_, _, IidClass::Random) if is_from_mac(address) => LocalClass::Eui64,
        (_, known, IidClass::Random) => {
            let old = age.0 > validity.0.saturating_add(STABLE_AFTER.0);
            if known == Some(false) || old { LocalClass::Stable } else { LocalClass::Temporary }
        }
        _ => LocalClass::Guessable,
    }
}
