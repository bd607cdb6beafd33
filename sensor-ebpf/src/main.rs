//! Tattler's kernel programs: XDP at ingress, TC at egress.
//!
//! All entry points and verdicts are in this file. Observation never changes a verdict: ingress
//! passes every packet, egress leaves the decision to the next program. The rules, and their updates
//! of the maps, are in [`sensor_common::track`].
//!
//! - [`ingress`], [`egress`]: parse, then track
//! - [`packet`]: reads packet bytes
//! - [`tables`], [`record`]: the maps of the rules, and access to their records
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(missing_docs, reason = "aya's macros emit the programs without their doc comments")]
// In a build for the host, nothing calls the programs.
#![cfg_attr(not(target_arch = "bpf"), allow(dead_code))]

mod budgets;
#[cfg(feature = "test-programs")]
mod classified;
mod clock;
mod counters;
mod egress;
mod events;
mod ingress;
mod packet;
mod record;
mod tables;

use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use packet::{Linear, Skb};
use sensor_common::Link;
use sensor_common::counters::Direction;

/// XDP at ingress of an Ethernet device, multi-buffer packets included.
#[xdp(frags)]
pub fn tattler_xdp(ctx: XdpContext) -> u32 {
    see_xdp(&ctx, Link::Ethernet)
}

/// XDP at ingress of an Ethernet device, linear packets only.
#[xdp]
pub fn tattler_xdp_lin(ctx: XdpContext) -> u32 {
    see_xdp(&ctx, Link::Ethernet)
}

/// XDP at ingress of a device whose packets begin with the IP header.
#[xdp]
pub fn tattler_xdp_raw(ctx: XdpContext) -> u32 {
    see_xdp(&ctx, Link::Raw)
}

/// TC at ingress of an Ethernet device that takes no XDP program.
#[classifier]
pub fn tattler_tci(ctx: TcContext) -> i32 {
    see_tc(&ctx, Direction::Ingress, Link::Ethernet)
}

/// TC at ingress of a device whose packets begin with the IP header.
#[classifier]
pub fn tattler_tci_raw(ctx: TcContext) -> i32 {
    see_tc(&ctx, Direction::Ingress, Link::Raw)
}

/// TC at egress of an Ethernet device.
#[classifier]
pub fn tattler_tce(ctx: TcContext) -> i32 {
    see_tc(&ctx, Direction::Egress, Link::Ethernet)
}

/// TC at egress of a device whose packets begin with the IP header.
#[classifier]
pub fn tattler_tce_raw(ctx: TcContext) -> i32 {
    see_tc(&ctx, Direction::Egress, Link::Raw)
}

/// The parser alone, on a packet that begins with an Ethernet header.
#[cfg(feature = "test-programs")]
#[xdp]
pub fn tattler_cls(ctx: XdpContext) -> u32 {
    classified::classify(&ctx, Link::Ethernet);
    XDP_PASS
}

/// The parser alone, on a packet that begins with the IP header.
#[cfg(feature = "test-programs")]
#[xdp]
pub fn tattler_cls_raw(ctx: XdpContext) -> u32 {
    classified::classify(&ctx, Link::Raw);
    XDP_PASS
}

#[inline(always)]
fn see_xdp(ctx: &XdpContext, link: Link) -> u32 {
    if let Err(reason) = ingress::see(&Linear::of_xdp(ctx), ctx.ingress_ifindex() as u32, link) {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(ctx, "ingress: {}", reason.as_str());
        counters::gave_up(Direction::Ingress, reason);
    }
    XDP_PASS
}

#[inline(always)]
fn see_tc(ctx: &TcContext, direction: Direction, link: Link) -> i32 {
    let packet = Skb::new(ctx);
    let result = match direction {
        Direction::Ingress => ingress::see(&packet, packet.ifindex(), link),
        Direction::Egress => egress::see(&packet, packet.ifindex(), link),
    };
    if let Err(reason) = result {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(ctx, "{}: {}", direction.as_str(), reason.as_str());
        counters::gave_up(direction, reason);
    }
    TC_ACT_UNSPEC
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The linker rejects an object in which this is reachable.
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(target_arch = "bpf"))]
fn main() {
    eprintln!("these are kernel programs; `cargo xtask build` builds them into the sensor");
    std::process::exit(1);
}
