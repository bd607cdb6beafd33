//! Home prefixes, written by the agent.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LpmTrie;
use aya_ebpf::maps::lpm_trie::Key;
use sensor_common::parse::Address;

#[map]
static HOME: LpmTrie<Address, u8> = LpmTrie::with_max_entries(16_384, 0);

/// Whether an address lies in a home prefix: the longest match decides, and may exclude.
#[inline(always)]
pub fn contains(address: &Address) -> bool {
    matches!(HOME.get(Key::new(128, *address)), Some(1))
}
