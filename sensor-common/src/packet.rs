//! The interface by which the parser reads bytes and reports layers.

use crate::GiveUp;

/// The largest offset at which the parser reads, in bytes.
///
/// The verifier requires a bound on every offset. User space checks the same bound, so that kernel and
/// user space agree. Eight extension headers of ordinary size end far below this bound.
pub const FAR: usize = 0x1fff;

/// The bytes of a packet. Kernel programs and user space implement this trait; the parser is generic over it.
pub trait Packet {
    /// Copies `N` bytes at `offset` out of the packet.
    ///
    /// # Errors
    /// [`GiveUp::Far`] beyond [`FAR`], [`GiveUp::Truncated`] beyond the end.
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp>;

    /// Returns `x` as a value that is unknown to the verifier.
    ///
    /// The verifier tracks every known value. Without this function, each iteration of the walk is a separate
    /// state, and the verifier has too many states to check. On the host the function returns `x` unchanged.
    #[inline(always)]
    fn forget(&self, x: usize) -> usize {
        x
    }

    /// Called for every layer that the parser enters, in order. User space prints the layers.
    #[inline(always)]
    fn enter(&self, _layer: Layer) {}
}

/// A layer on the way to the upper-layer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A link layer, with the name that `tattler packets` prints.
    Link(&'static str),
    /// An IPv6 header at this offset.
    Ipv6(usize),
    /// An extension header, with its number in IANA's registry.
    Extension(u8),
}

/// A packet in a slice, for user space and tests.
impl Packet for [u8] {
    #[inline]
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp> {
        if offset > FAR {
            return Err(GiveUp::Far);
        }
        match self.get(offset..offset + N) {
            Some(bytes) => Ok(bytes.try_into().unwrap_or([0; N])),
            None => Err(GiveUp::Truncated),
        }
    }
}
