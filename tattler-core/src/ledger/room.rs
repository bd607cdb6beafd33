//! Eviction when the ledger is full, and renumbering of the remaining rows.

use super::intern::{AddressNumbers, Strings};
use super::worth::{Ranking, Target, Worth};
use super::{Ledger, LedgerSettings};

impl Ledger {
    pub(super) fn room_for_contact(&mut self) {
        if self.contacts.rows().len() >= self.settings.max_contacts.max(1) {
            self.counts.evicted_contacts += self.contacts.evict(|row| row.last) as u64;
            self.compact_if_due();
        }
    }

    /// Makes room for a probe. Outsiders control the number of probes, so a flood must not evict evidence.
    pub(super) fn room_for_probe(&mut self) {
        if self.probes.rows().len() >= self.settings.max_probes.max(1) {
            let worths = self.worths();
            let no_evidence = worths.iter().filter(|&&worth| worth < Worth::Evidence).count();
            let mut worths = worths.into_iter();
            let evicted = self.probes.evict(|row| (worths.next(), row.last));
            self.counts.evicted_probes += evicted as u64;
            self.counts.evicted_evidence += evicted.saturating_sub(no_evidence) as u64;
            self.compact_if_due();
        } else if self.addresses.len() >= self.address_bound() {
            self.compact();
        }
    }

    /// The worth of each probe, in the order of the rows.
    fn worths(&self) -> Vec<Worth> {
        let rows = self.probes.rows();
        let mut worths = vec![Worth::Sweep; rows.len()];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&at| rows[at].first);
        let mut ranking = Ranking::default();
        for at in order {
            let row = &rows[at];
            let used = self.locals.get(row.target).and_then(|local| local.used);
            let proves = self.may_be_leaked(row.target) && !row.contacted_source;
            let target = Target::of(used, row.first, self.settings.validity, proves);
            let (source, address) = (self.addresses.get(row.source), self.addresses.get(row.target));
            worths[at] = ranking.rank(row.first, source, address, row.kind, target);
        }
        worths
    }

    /// Number of addresses at which addresses without a row are deleted. Such addresses come from answers and from
    /// packets that were not probes.
    fn address_bound(&self) -> usize {
        let LedgerSettings { max_locals, max_contacts, max_probes, .. } = self.settings;
        max_locals.saturating_add(max_contacts).saturating_add(max_probes.saturating_mul(2)).saturating_add(65_536)
    }

    /// Deletes addresses without a row if there is at least one such address for every four rows. Eviction leaves
    /// such addresses. With fewer, the freed memory would not be worth the cost of new numbers for all addresses.
    fn compact_if_due(&mut self) {
        let rows = self.locals.rows().len() + self.contacts.rows().len() + self.probes.rows().len();
        if self.addresses.len() > rows + rows / 4 + 65_536 {
            self.compact();
        }
    }

    /// Deletes the contacts of removed locals and the numbers that no row uses, and assigns new numbers. Strings get
    /// new numbers too: a phone has another hardware address in each network, or each day. If names were never
    /// deleted, there would some day be no room for new names.
    pub(super) fn compact(&mut self) {
        let old = std::mem::take(&mut self.addresses);
        let mut new = AddressNumbers::default();
        let (old_devices, mut devices) = (std::mem::take(&mut self.devices), Strings::default());
        let names = old_devices.by_number();
        self.locals.rebuild(|row| {
            row.address = new.number(old.get(row.address));
            row.device = row.device.and_then(|number| devices.number(names.get(number as usize)?));
            true
        });
        self.devices = devices;
        let locals = &self.locals;
        let gone = self.contacts.rebuild(|row| {
            let Some(local) = new.find(old.get(row.local)).filter(|&id| locals.get(id).is_some()) else {
                return false;
            };
            row.local = local;
            row.remote = new.number(old.get(row.remote));
            true
        });
        self.counts.evicted_contacts += gone as u64;
        let (old_strings, mut strings) = (std::mem::take(&mut self.strings), Strings::default());
        let texts = old_strings.by_number();
        let mut renumber = |number: Option<u32>| number.and_then(|number| strings.number(texts.get(number as usize)?));
        self.probes.rebuild(|row| {
            row.source = new.number(old.get(row.source));
            row.target = new.number(old.get(row.target));
            row.print.payload_hash = renumber(row.print.payload_hash);
            row.print.tcp_options = renumber(row.print.tcp_options);
            true
        });
        self.strings = strings;
        self.addresses = new;
        self.numbering += 1;
        self.recent.clear();
        self.early_answers.clear();
    }
}
