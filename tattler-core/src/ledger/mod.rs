//! The in-memory index of the window, the period that the ledger covers: locals, contacts, probes.
//!
//! No I/O and no clock: time comes with the observations. The content does not depend on the order of arrival, except
//! for the UDP rule, which uses earlier observations. Every table has a bound; evictions are counted.
//!
//! # Layout
//! - `settings`: bounds and counters
//! - [`rows`]: the rows
//! - `table`: rows with an index, and removal of rows
//! - `room`: eviction when the ledger is full; [`worth`]: the rank of probes for eviction
//! - `recent`: outgoing UDP of the last six minutes
//! - `forget`: deletion at the user's request
//! - `follow`: a copy of the ledger, updated only with the changes
//! - `replace`: replacement of the current ledger by a rebuilt ledger
//! - `intern`: numbers for addresses and strings
//! - `configure`: facts and settings that do not come from packets

mod configure;
mod follow;
mod forget;
mod intern;
mod recent;
mod replace;
mod room;
pub mod rows;
mod settings;
mod table;
#[cfg(test)]
pub(crate) mod tests;
pub mod worth;

use std::collections::HashSet;
use std::net::Ipv6Addr;

use sensor_common::{IidClass, Kind, Proto};

pub use self::follow::Revision;
use self::intern::{AddressNumbers, Strings};
use self::recent::Recent;
use self::rows::ProbeKey;
pub use self::rows::{AddrId, ContactRow, Hops, Local, PackedTraits, ProbeRow};
pub use self::settings::{LedgerCounts, LedgerSettings};
use self::table::KeyedTable;
use crate::observation::{Answer, Contact, Observation, Probe, Traits};
use crate::time::Time;

/// The maximum number of answers that arrived before their probe. An answer is kept until its probe arrives.
const MAX_EARLY_ANSWERS: usize = 4_096;

/// The in-memory index; see the module documentation.
pub struct Ledger {
    settings: LedgerSettings,
    addresses: AddressNumbers,
    devices: Strings,
    strings: Strings,
    locals: KeyedTable<Local>,
    contacts: KeyedTable<ContactRow>,
    probes: KeyedTable<ProbeRow>,
    recent: Recent,
    early_answers: HashSet<ProbeKey>,
    counts: LedgerCounts,
    revision: Revision,
    /// A number that changes whenever addresses are renumbered.
    numbering: u64,
    /// Number of times that a copy was made or updated.
    followed: u64,
}

impl Ledger {
    /// An empty ledger. Bounds below 1 in the settings count as 1.
    #[must_use]
    pub fn new(settings: LedgerSettings) -> Ledger {
        Ledger {
            settings,
            addresses: AddressNumbers::default(),
            devices: Strings::default(),
            strings: Strings::default(),
            locals: KeyedTable::default(),
            contacts: KeyedTable::default(),
            probes: KeyedTable::default(),
            recent: Recent::default(),
            early_answers: HashSet::new(),
            counts: LedgerCounts::default(),
            revision: Revision::default(),
            numbering: 0,
            followed: 0,
        }
    }

    /// Adds an observation. The caller guarantees that `local` or `target` is home.
    pub fn observe(&mut self, observation: &Observation) {
        self.revision.all += 1;
        match observation {
            Observation::Contact(contact) => self.contact(contact),
            Observation::Probe(probe) => self.probe(probe),
            Observation::Answer(answer) => self.answer(answer),
        }
    }

    /// Records that the operating system reported at `at` that `address` is temporary (RFC 8981).
    pub fn mark_temporary(&mut self, address: Ipv6Addr, at: Time) {
        self.mark(address, true, at);
    }

    /// Records that the operating system reported at `at` that `address` is not temporary.
    pub fn mark_stable(&mut self, address: Ipv6Addr, at: Time) {
        self.mark(address, false, at);
    }

    /// Removes rows from before the start of the window, if there is a window.
    pub fn prune(&mut self, now: Time) {
        let Some(window) = self.settings.window else { return };
        let from = now - window;
        let before = self.contacts.rows().len() + self.probes.rows().len() + self.locals.rows().len();
        self.contacts.retain(|row| row.last >= from);
        self.probes.retain(|row| row.last >= from);
        self.locals.retain(|local| local.latest >= from);
        self.compact();
        let after = self.contacts.rows().len() + self.probes.rows().len() + self.locals.rows().len();
        if after < before {
            self.revision.all += 1;
            self.revision.forgotten += 1;
        }
    }

    /// The settings of the ledger.
    #[must_use]
    pub fn settings(&self) -> &LedgerSettings {
        &self.settings
    }

    /// The counts of observations and evictions.
    #[must_use]
    pub fn counts(&self) -> LedgerCounts {
        self.counts
    }

    /// The number of addresses; each [`AddrId`] is smaller.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// The address with the number `id`.
    #[must_use]
    pub fn address(&self, id: AddrId) -> Ipv6Addr {
        self.addresses.get(id)
    }

    /// The number of an address, if the ledger knows it.
    #[must_use]
    pub fn id(&self, address: Ipv6Addr) -> Option<AddrId> {
        self.addresses.find(address)
    }

    /// The local with this address, if the address is a local.
    #[must_use]
    pub fn local(&self, id: AddrId) -> Option<&Local> {
        self.locals.get(id)
    }

    /// All locals, in no order.
    #[must_use]
    pub fn locals(&self) -> &[Local] {
        self.locals.rows()
    }

    /// The number of locals seen in use. The ledger knows other locals from netlink or from answers.
    #[must_use]
    pub fn locals_in_use(&self) -> usize {
        self.locals().iter().filter(|local| local.used.is_some()).count()
    }

    /// All contacts, in no order.
    #[must_use]
    pub fn contacts(&self) -> &[ContactRow] {
        self.contacts.rows()
    }

    /// All probes, in no order.
    #[must_use]
    pub fn probes(&self) -> &[ProbeRow] {
        self.probes.rows()
    }

    /// The row for the probes of one source, target, kind and port.
    #[must_use]
    pub fn probe_of(&self, source: AddrId, target: AddrId, kind: Kind, port: u16) -> Option<&ProbeRow> {
        self.probes.get((source, target, kind, port))
    }

    /// The strings whose numbers [`PackedTraits`] contain, with these numbers.
    pub fn texts(&self) -> impl Iterator<Item = (u32, &str)> {
        self.strings.all()
    }

    /// The earliest and the latest time of all contacts and probes.
    #[must_use]
    pub fn span(&self) -> Option<(Time, Time)> {
        let contacts = self.contacts().iter().map(|row| (row.first, row.last));
        let probes = self.probes().iter().map(|row| (row.first, row.last));
        contacts.chain(probes).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    fn contact(&mut self, contact: &Contact) {
        self.counts.contacts += 1;
        let (first, last) = (contact.ts, contact.ts.max(contact.last));
        self.room_for_contact();
        let local = self.local_row(contact.local, last);
        let remote = self.addresses.number(contact.remote);
        let device = contact.device.as_deref().and_then(|name| self.devices.number(name));
        if let Some(row) = self.locals.get_mut(local) {
            row.used = Some(row.used.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
            // The last device replaces an earlier device. Contradictions are rare, and any other choice would depend
            // on the order of arrival too.
            row.device = device.or(row.device);
            // The local is in use again, even if netlink reported its removal.
            row.ended = row.ended.filter(|&ended| last < ended);
        }
        if contact.proto == Proto::Udp {
            self.recent.sent(local, contact.local_port, remote, first, last);
        }
        if let Some(row) = self.contacts.get_mut((local, remote, contact.proto, contact.port)) {
            row.first = row.first.min(first);
            row.last = row.last.max(last);
            row.count = row.count.saturating_add(contact.count);
        } else {
            let &Contact { proto, port, count, .. } = contact;
            self.contacts.insert(ContactRow { local, remote, first, last, count, port, proto });
        }
    }

    fn probe(&mut self, probe: &Probe) {
        self.counts.probes += 1;
        if probe.settling && probe.kind == Kind::Udp {
            self.counts.settling += 1;
            return;
        }
        if self.is_explained(probe) {
            self.counts.not_probes += 1;
            return;
        }
        self.room_for_probe();
        let answered = probe.answered || self.answered_early(probe);
        if answered {
            // Call this before taking the numbers below: the call may evict rows and renumber addresses.
            self.expose(probe.target, probe.ts);
        }
        let source = self.addresses.number(probe.source);
        let target = self.addresses.number(probe.target);
        let key = (source, target, probe.kind, probe.port);
        let print = self.print(&probe.traits);
        let mut hops = Hops::default();
        probe.traits.hop_limit.iter().for_each(|&hop| hops.insert(hop));
        if let Some(row) = self.probes.get_mut(key) {
            if (probe.ts, print) < (row.first, row.print) {
                row.print = print;
            }
            row.first = row.first.min(probe.ts);
            row.last = row.last.max(probe.ts);
            row.count = row.count.saturating_add(probe.count.max(1));
            row.contacted_source |= probe.contacted_source;
            row.answered |= answered;
            row.hops.union(hops);
        } else {
            let &Probe { kind, port, contacted_source, .. } = probe;
            let (first, last, count) = (probe.ts, probe.ts, probe.count.max(1));
            self.revision.evidence += u64::from(self.may_be_leaked(target));
            self.probes.insert(ProbeRow {
                source,
                target,
                first,
                last,
                count,
                port,
                kind,
                contacted_source,
                answered,
                hops,
                print,
            });
        }
    }

    /// Whether the target is a local in use whose address can't be guessed.
    fn may_be_leaked(&self, target: AddrId) -> bool {
        self.locals.get(target).is_some_and(|local| {
            let unguessable = local.temporary.unwrap_or(local.iid == IidClass::Random);
            local.used.is_some() && unguessable && !local.public
        })
    }

    /// Whether the kernel's UDP rule, applied again, shows that the packet is not a probe.
    fn is_explained(&self, probe: &Probe) -> bool {
        let ids = || Some((self.addresses.find(probe.target)?, self.addresses.find(probe.source)));
        probe.kind == Kind::Udp
            && ids().is_some_and(|(target, source)| self.recent.explains(target, probe.port, source, probe.ts))
    }

    fn answered_early(&mut self, probe: &Probe) -> bool {
        let ids = self.addresses.find(probe.source).zip(self.addresses.find(probe.target));
        ids.is_some_and(|(source, target)| self.early_answers.remove(&(source, target, probe.kind, probe.port)))
    }

    /// Records an answer. An answer to a packet without a row (UDP while the sensor settled) does not make the local
    /// exposed.
    fn answer(&mut self, answer: &Answer) {
        self.counts.answers += 1;
        if self.early_answers.len() >= MAX_EARLY_ANSWERS && self.addresses.find(answer.source).is_none() {
            return;
        }
        let (source, target) = (self.addresses.number(answer.source), self.addresses.number(answer.target));
        let key = (source, target, answer.kind, answer.port);
        if let Some(row) = self.probes.get_mut(key) {
            row.answered = true;
            self.expose(answer.target, answer.ts);
        } else if self.early_answers.len() < MAX_EARLY_ANSWERS {
            self.early_answers.insert(key);
        }
    }

    fn expose(&mut self, address: Ipv6Addr, at: Time) {
        let id = self.local_row(address, at);
        if let Some(row) = self.locals.get_mut(id) {
            row.exposed = true;
        }
    }

    fn mark(&mut self, address: Ipv6Addr, temporary: bool, at: Time) {
        self.revision.all += 1;
        let id = self.local_row(address, at);
        if let Some(row) = self.locals.get_mut(id) {
            row.temporary = Some(temporary);
        }
    }

    /// The number of a local's address. Creates the local's row if there is none.
    fn local_row(&mut self, address: Ipv6Addr, at: Time) -> AddrId {
        if self.addresses.find(address).and_then(|id| self.locals.get(id)).is_none()
            && self.locals.rows().len() >= self.settings.max_locals.max(1)
        {
            self.counts.evicted_locals += self.locals.evict(|local| (local.used.is_some(), local.latest)) as u64;
            self.compact();
        }
        let id = self.addresses.number(address);
        if let Some(row) = self.locals.get_mut(id) {
            row.latest = row.latest.max(at);
        } else {
            self.locals.insert(Local {
                address: id,
                used: None,
                iid: IidClass::of(&address.octets()),
                temporary: None,
                public: self.settings.public.iter().any(|net| net.contains(&address)),
                exposed: false,
                ended: None,
                device: None,
                latest: at,
            });
        }
        id
    }

    fn print(&mut self, traits: &Traits) -> PackedTraits {
        PackedTraits {
            hop_limit: traits.hop_limit,
            tcp_flags: traits.tcp_flags,
            source_port: traits.source_port,
            icmp_id: traits.icmp_id,
            icmp_seq: traits.icmp_seq,
            payload_len: traits.payload_len,
            window: traits.window,
            flow_label: traits.flow_label,
            payload_hash: traits.payload_hash.as_deref().and_then(|text| self.strings.number(text)),
            tcp_options: traits.tcp_options.as_deref().and_then(|text| self.strings.number(text)),
        }
    }
}
