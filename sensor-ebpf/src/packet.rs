//! The one place where packet bytes are read.

use core::ptr;

use aya_ebpf::programs::{TcContext, XdpContext};
use sensor_common::packet::FAR;
use sensor_common::{GiveUp, Packet};

/// A packet's linear part, for XDP and for TC.
pub struct Frame {
    start: usize,
    end: usize,
    /// A number that neither compiler nor verifier knows; see [`Packet::forget`].
    #[cfg_attr(not(target_arch = "bpf"), expect(dead_code, reason = "only the kernel forgets"))]
    noise: usize,
}

impl Frame {
    /// The packet that an XDP program was called for.
    #[inline(always)]
    pub fn of_xdp(ctx: &XdpContext) -> Frame {
        // SAFETY: the kernel hands a valid context to the program for as long as it runs. The reads
        // are volatile because LLVM otherwise narrows the two words, and the verifier no longer
        // takes them for packet pointers.
        unsafe {
            Frame {
                start: ptr::read_volatile(&raw const (*ctx.ctx).data) as usize,
                end: ptr::read_volatile(&raw const (*ctx.ctx).data_end) as usize,
                noise: ptr::read_volatile(&raw const (*ctx.ctx).rx_queue_index) as usize,
            }
        }
    }

    /// The linear part of the packet that a TC program was called for.
    #[inline(always)]
    pub fn of_tc(ctx: &TcContext) -> Frame {
        // SAFETY: as in `of_xdp`.
        unsafe {
            let skb = ctx.skb.skb;
            Frame {
                start: ptr::read_volatile(&raw const (*skb).data) as usize,
                end: ptr::read_volatile(&raw const (*skb).data_end) as usize,
                noise: ptr::read_volatile(&raw const (*skb).ifindex) as usize,
            }
        }
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp> {
        // The verifier must see the bound on the very register that is added to the pointer.
        let offset = pin(offset);
        if offset > FAR {
            return Err(GiveUp::Far);
        }
        let from = self.start + offset;
        // N is 4 at least: for a single byte LLVM turns this into `from >= end`, of which
        // verifiers before 7.2 learn nothing.
        if from + N > self.end {
            return Err(GiveUp::Truncated);
        }
        // SAFETY: `from..from + N` lies within the packet, as just checked; bytes need no alignment.
        Ok(unsafe { ptr::read_unaligned(from as *const [u8; N]) })
    }

    #[inline(always)]
    fn forget(&self, x: usize) -> usize {
        #[cfg(target_arch = "bpf")]
        {
            let mut x = x;
            // SAFETY: twice the same exclusive or: the value stays as it was.
            unsafe { core::arch::asm!("{0} ^= {1}", "{0} ^= {1}", inout(reg) x, in(reg) self.noise) };
            x
        }
        #[cfg(not(target_arch = "bpf"))]
        x
    }
}

/// A packet that a TC program was called for, wherever its bytes lie.
///
/// Headers stand in the linear part, but for packets from AF_PACKET or tun with an odd header
/// length; those are copied out piece by piece. Pulling them would change the packet.
pub struct Skb<'a> {
    linear: Frame,
    ctx: &'a TcContext,
}

impl<'a> Skb<'a> {
    /// The packet that a TC program was called for.
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Skb<'a> {
        Skb { linear: Frame::of_tc(ctx), ctx }
    }

    /// The device that it came by, or goes out by.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the kernel hands a valid context to the program for as long as it runs.
        unsafe { (*self.ctx.skb.skb).ifindex }
    }
}

impl Packet for Skb<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp> {
        match self.linear.read(offset) {
            Err(GiveUp::Truncated) => {
                let mut bytes = [0u8; N];
                // SAFETY: the kernel checks the range against the packet and writes N bytes.
                let result = unsafe {
                    aya_ebpf::helpers::generated::bpf_skb_load_bytes(
                        self.ctx.skb.skb.cast(),
                        offset as u32,
                        (&raw mut bytes).cast(),
                        N as u32,
                    )
                };
                if result == 0 { Ok(bytes) } else { Err(GiveUp::Truncated) }
            }
            direct => direct,
        }
    }

    #[inline(always)]
    fn forget(&self, x: usize) -> usize {
        self.linear.forget(x)
    }
}

/// Returns `x` in a register that the compiler can't trace back.
#[inline(always)]
fn pin(x: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut x = x;
        // SAFETY: moves a register to itself. It must be an instruction: with an empty one, two
        // lines of source share an offset, which the verifier refuses.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) x) };
        x
    }
    #[cfg(not(target_arch = "bpf"))]
    x
}
