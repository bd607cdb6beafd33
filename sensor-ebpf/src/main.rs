//! Tattler's kernel programs: XDP at ingress, TC at egress.
//!
//! Entry points and verdicts stand here and nowhere else. Observing never changes a verdict:
//! ingress passes every packet, egress lets the next program decide.
//!
//! - [`ingress`], [`egress`]: the two ways of a packet
//! - [`packet`]: the one place where packet bytes are read
//! - [`memory`]: the maps as the rules see them; each map belongs to the module of its name
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(missing_docs, reason = "aya's macros emit the programs without their doc comments")]
// Built for the host, there is nothing that calls the programs.
#![cfg_attr(not(target_arch = "bpf"), allow(dead_code))]

mod budgets;
mod classified;
mod clock;
mod counters;
mod egress;
mod events;
mod flows;
mod home;
mod inbound;
mod ingress;
mod locals;
mod memory;
mod packet;
mod pairs;
mod ports;
mod repeats;

use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use packet::{Frame, Skb};
use sensor_common::Link;
use sensor_common::counters::Direction;

/// XDP at ingress of an Ethernet device, multi-buffer packets included.
#[xdp(frags)]
pub fn tattler_ingress(ctx: XdpContext) -> u32 {
    see_ingress(&ctx, Link::Ethernet)
}

/// XDP at ingress of an Ethernet device, linear packets only.
#[xdp]
pub fn tattler_linear(ctx: XdpContext) -> u32 {
    see_ingress(&ctx, Link::Ethernet)
}

/// XDP at ingress of a device whose packets begin with the IP header.
#[xdp]
pub fn tattler_in_raw(ctx: XdpContext) -> u32 {
    see_ingress(&ctx, Link::Raw)
}

/// TC at ingress of an Ethernet device that takes no XDP program.
#[classifier]
pub fn tattler_in_tc(ctx: TcContext) -> i32 {
    see_tc_ingress(&ctx, Link::Ethernet)
}

/// TC at ingress of a device whose packets begin with the IP header.
#[classifier]
pub fn tattler_tc_raw(ctx: TcContext) -> i32 {
    see_tc_ingress(&ctx, Link::Raw)
}

/// TC at egress of an Ethernet device.
#[classifier]
pub fn tattler_egress(ctx: TcContext) -> i32 {
    see_egress(&ctx, Link::Ethernet)
}

/// TC at egress of a device whose packets begin with the IP header.
#[classifier]
pub fn tattler_out_raw(ctx: TcContext) -> i32 {
    see_egress(&ctx, Link::Raw)
}

/// The parser alone, on a packet that begins with an Ethernet header.
#[xdp]
pub fn tattler_test(ctx: XdpContext) -> u32 {
    classified::classify(&ctx, Link::Ethernet);
    XDP_PASS
}

/// The parser alone, on a packet that begins with the IP header.
#[xdp]
pub fn tattler_tst_raw(ctx: XdpContext) -> u32 {
    classified::classify(&ctx, Link::Raw);
    XDP_PASS
}

#[inline(always)]
fn see_ingress(ctx: &XdpContext, link: Link) -> u32 {
    if let Err(reason) = ingress::see(&Frame::of_xdp(ctx), ctx.ingress_ifindex() as u32, link) {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(ctx, "ingress: {}", reason.as_str());
        counters::gave_up(Direction::Ingress, reason);
    }
    XDP_PASS
}

#[inline(always)]
fn see_tc_ingress(ctx: &TcContext, link: Link) -> i32 {
    let packet = Skb::new(ctx);
    if let Err(reason) = ingress::see(&packet, packet.ifindex(), link) {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(ctx, "ingress: {}", reason.as_str());
        counters::gave_up(Direction::Ingress, reason);
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn see_egress(ctx: &TcContext, link: Link) -> i32 {
    if let Err(reason) = egress::see(ctx, link) {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!(ctx, "egress: {}", reason.as_str());
        counters::gave_up(Direction::Egress, reason);
    }
    TC_ACT_UNSPEC
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The linker refuses an object in which this can be reached.
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
