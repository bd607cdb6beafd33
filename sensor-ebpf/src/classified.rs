//! The parser alone, for the test that compares kernel and user space on the same bytes.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use sensor_common::wire::Classified;
use sensor_common::{Link, parse};

use crate::packet::Linear;

#[map]
static CLASSIFIED: Array<Classified> = Array::with_max_entries(1, 0);

/// Parses a packet and stores the result in the map.
#[inline(always)]
pub fn classify(ctx: &XdpContext, link: Link) {
    let found = Classified::new(parse(&Linear::of_xdp(ctx), link));
    let _ = CLASSIFIED.set(0, found, 0);
}
