//! Replacement of the live ledger by a ledger that was rebuilt from the store.

use super::Ledger;
use crate::time::Span;

impl Ledger {
    /// Copies from `old` the data that the store does not have: counts, and facts about locals that
    /// came from the network. `step` is added to the times of these facts.
    pub fn replace(&mut self, old: &Ledger, step: Span) {
        for row in old.locals.rows() {
            if row.temporary.is_none() && row.ended.is_none() && row.device.is_none() {
                continue;
            }
            let address = old.addresses.get(row.address);
            let device = row.device.and_then(|number| old.devices.get(number));
            if let Some(local) = self.addresses.find(address).and_then(|id| self.locals.get_mut(id)) {
                local.temporary = row.temporary;
                local.ended = row.ended.map(|ended| ended + step);
                local.device = local.device.or(device.and_then(|device| self.devices.number(device)));
            }
        }
        let evicted = self.counts;
        self.counts = old.counts;
        self.counts.evicted_locals += evicted.evicted_locals;
        self.counts.evicted_contacts += evicted.evicted_contacts;
        self.counts.evicted_probes += evicted.evicted_probes;
        self.counts.evicted_evidence += evicted.evicted_evidence;
        // Copies still follow the old ledger. Make each copy copy everything again at once, as
        // after forgetting.
        self.revision = old.revision;
        self.revision.all += 1;
        self.revision.forgotten += 1;
        self.numbering = old.numbering + 1;
        self.followed = old.followed + 1;
    }
}
