//! Forgetting: deletes the rows from the ledger that the store deletes.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use super::Ledger;
use crate::forget::Forget;

impl Ledger {
    /// Whether a local belongs to the device with the identifier `id`.
    #[must_use]
    pub fn knows_device(&self, id: &str) -> bool {
        let device = self.devices.find(id);
        device.is_some() && self.locals.rows().iter().any(|row| row.device == device)
    }

    /// The locals of the device with the identifier `id`.
    #[must_use]
    pub fn locals_of(&self, id: &str) -> HashSet<Ipv6Addr> {
        let device = self.devices.find(id);
        let of_device = self.locals.rows().iter().filter(|row| device.is_some() && row.device == device);
        of_device.map(|row| self.addresses.get(row.address)).collect()
    }

    /// Deletes the matching rows, as the store does. A contact that continued after `before` keeps
    /// only its last time. Returns the number of deleted rows.
    pub fn forget(&mut self, forget: &Forget) -> usize {
        if forget.is_nothing() {
            return 0;
        }
        self.revision.all += 1;
        self.revision.forgotten += 1;
        let locals = forget.device.as_deref().map(|id| self.locals_of(id)).unwrap_or_default();
        let addresses = &self.addresses;
        let before = |time| forget.before.is_none_or(|before| time < before);

        let contacts = self.contacts.retain(|row| {
            if !forget.means(addresses.get(row.local), addresses.get(row.remote), &locals) {
                return true;
            }
            if !before(row.last) && before(row.first) {
                (row.first, row.count) = (row.last, row.count.min(1));
            }
            !before(row.last)
        });
        let probes = self.probes.retain(|row| {
            if !forget.means(addresses.get(row.target), addresses.get(row.source), &locals) {
                return true;
            }
            // A row can represent many probes, but only the first and last times are known.
            if !before(row.last) && before(row.first) {
                (row.first, row.count) = (row.last, 1);
            }
            !before(row.last)
        });
        let gone = self.locals.retain(|row| {
            let address = addresses.get(row.address);
            let is_meant = forget.prefix.is_none_or(|prefix| prefix.contains(&address))
                && (forget.device.is_none() || locals.contains(&address));
            if !is_meant {
                return true;
            }
            row.used = row.used.filter(|&(_, last)| !before(last));
            row.used = row.used.map(|(first, last)| if before(first) { (last, last) } else { (first, last) });
            !before(row.latest)
        });
        self.compact();
        contacts + probes + gone
    }
}
