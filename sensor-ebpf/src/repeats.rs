//! Probes seen before, by target, source, kind and port.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use sensor_common::wire::{Repeat, RepeatKey};

#[map]
static REPEATS: LruHashMap<RepeatKey, Repeat> = LruHashMap::with_max_entries(65_536, 0);

/// What is known of such probes.
#[inline(always)]
pub fn get(key: &RepeatKey) -> Option<Repeat> {
    // SAFETY: an entry that is replaced meanwhile yields a torn record at worst.
    unsafe { REPEATS.get(key) }.copied()
}

/// Writes what is known of such probes.
#[inline(always)]
pub fn set(key: &RepeatKey, repeat: &Repeat) {
    match REPEATS.get_ptr_mut(key) {
        // In place: a fifth of the cost of an update.
        // SAFETY: map memory stays valid while the program runs.
        Some(known) => unsafe { *known = *repeat },
        None => {
            let _ = REPEATS.insert(key, repeat, 0);
        }
    }
}

/// Notes that the target's answer has been told.
#[inline(always)]
pub fn answered(key: &RepeatKey) {
    if let Some(repeat) = REPEATS.get_ptr_mut(key) {
        // SAFETY: map memory stays valid while the program runs.
        unsafe { (*repeat).answered = 1 };
    }
}
