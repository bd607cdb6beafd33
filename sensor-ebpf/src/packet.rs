//! Reads packet bytes; nothing else does.

use core::ptr;

use aya_ebpf::programs::{TcContext, XdpContext};
use sensor_common::packet::FAR;
use sensor_common::{GiveUp, Packet};

/// A packet's linear part, for XDP and for TC.
pub struct Linear {
    start: usize,
    end: usize,
    /// A number unknown to compiler and verifier; see [`Packet::forget`].
    #[cfg_attr(not(target_arch = "bpf"), expect(dead_code, reason = "only used in the kernel"))]
    noise: usize,
}

impl Linear {
    /// The packet of an XDP program.
    #[inline(always)]
    pub fn of_xdp(ctx: &XdpContext) -> Linear {
        // SAFETY: the context stays valid until the program ends. The reads are volatile: otherwise
        // LLVM narrows the two words, and the verifier no longer accepts them as packet pointers.
        unsafe {
            Linear {
                start: ptr::read_volatile(&raw const (*ctx.ctx).data) as usize,
                end: ptr::read_volatile(&raw const (*ctx.ctx).data_end) as usize,
                noise: ptr::read_volatile(&raw const (*ctx.ctx).rx_queue_index) as usize,
            }
        }
    }

    /// The linear part of the packet of a TC program.
    #[inline(always)]
    pub fn of_tc(ctx: &TcContext) -> Linear {
        // SAFETY: as in `of_xdp`.
        unsafe {
            let skb = ctx.skb.skb;
            Linear {
                start: ptr::read_volatile(&raw const (*skb).data) as usize,
                end: ptr::read_volatile(&raw const (*skb).data_end) as usize,
                noise: ptr::read_volatile(&raw const (*skb).ifindex) as usize,
            }
        }
    }
}

impl Packet for Linear {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp> {
        // The verifier needs the bound on the same register that is added to the pointer.
        let offset = pin(offset);
        if offset > FAR {
            return Err(GiveUp::Far);
        }
        let from = self.start + offset;
        // N is at least 4: for a single byte LLVM emits `from >= end`, from which verifiers before
        // 7.2 derive no bound.
        if from + N > self.end {
            return Err(GiveUp::Truncated);
        }
        // SAFETY: `from..from + N` lies within the packet, as checked above; bytes need no alignment.
        Ok(unsafe { ptr::read_unaligned(from as *const [u8; N]) })
    }

    #[inline(always)]
    fn forget(&self, x: usize) -> usize {
        #[cfg(target_arch = "bpf")]
        {
            let mut x = x;
            // SAFETY: the same exclusive or twice leaves the value unchanged.
            unsafe { core::arch::asm!("{0} ^= {1}", "{0} ^= {1}", inout(reg) x, in(reg) self.noise) };
            x
        }
        #[cfg(not(target_arch = "bpf"))]
        x
    }
}

/// The packet of a TC program, with its non-linear part.
///
/// Headers usually lie in the linear part. Senders on AF_PACKET or tun can choose otherwise; those
/// headers are copied out piece by piece, since pulling them would change the packet.
pub struct Skb<'a> {
    linear: Linear,
    ctx: &'a TcContext,
}

impl<'a> Skb<'a> {
    /// The packet of a TC program.
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Skb<'a> {
        Skb { linear: Linear::of_tc(ctx), ctx }
    }

    /// The device on which it arrived, or by which it leaves.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the context stays valid until the program ends.
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

/// Returns `x` in a register whose origin the compiler can't trace.
#[inline(always)]
fn pin(x: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut x = x;
        // SAFETY: moves a register to itself. It must be a real instruction: with empty assembly, two
        // source lines share one offset, which the verifier rejects.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) x) };
        x
    }
    #[cfg(not(target_arch = "bpf"))]
    x
}
