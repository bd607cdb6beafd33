//! How the parser reads bytes, and what it tells about its way.

use crate::GiveUp;

/// The largest offset that the parser reads at, in bytes.
///
/// The verifier wants a bound on every offset; both sides check the same one, so that they give
/// the same answer. It lies far beyond eight extension headers of ordinary size.
pub const FAR: usize = 0x1fff;

/// Bytes of one packet. The kernel programs and user space each have their own implementation; the
/// parser is generic over it, so that there is one parser.
pub trait Packet {
    /// Copies `N` bytes at `offset` out of the packet.
    ///
    /// # Errors
    /// [`GiveUp::Far`] beyond [`FAR`], [`GiveUp::Truncated`] beyond the end.
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp>;

    /// Returns `x`, in a way that the verifier can't look through.
    ///
    /// It follows every value that it knows: without this, each turn of the walk is a state of its
    /// own and the number of states explodes. On the host it does nothing.
    #[inline(always)]
    fn forget(&self, x: usize) -> usize {
        x
    }

    /// Told of every layer that the parser enters, in order; for those who print it.
    #[inline(always)]
    fn enter(&self, _layer: Layer) {}
}

/// A layer on the way to the upper-layer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A link layer, by the name that `tattler packets` prints.
    Link(&'static str),
    /// An IPv6 header at this offset.
    Ipv6(usize),
    /// An extension header, by its number in IANA's registry.
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
