//! Pages of a map that are shared with the kernel. The unsafe code for reading a ring is here.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::{fs, io};

/// The size of a position, an unsigned long of the kernel. A 64-bit kernel may run a 32-bit sensor. If it wrote only
/// half of a position, the ring would stop after 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Bits32,
    Bits64,
}

impl Word {
    /// The size in the running kernel.
    pub(super) fn of_kernel() -> Word {
        let is_64 = usize::BITS == 64
            // setarch changes the machine's name. Newer kernels have this file.
            || match fs::read_to_string("/sys/kernel/address_bits") {
                Ok(bits) => bits.trim() == "64",
                Err(_) => {
                    let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
                    machine.contains("64") || machine == "s390x" || machine == "armv8l"
                }
            };
        if is_64 { Word::Bits64 } else { Word::Bits32 }
    }
}

/// Pages that are shared with the kernel.
pub(super) struct Pages {
    at: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages belong to the process, not to a thread, and all that changes under us is read
// through atomics.
unsafe impl Send for Pages {}

impl Pages {
    /// Maps pages of a map, from `offset` bytes on.
    pub(super) fn map(fd: BorrowedFd<'_>, offset: usize, length: usize, protection: i32) -> io::Result<Pages> {
        let offset = offset as libc::off_t;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let at =
            unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Pages { at, length })
    }

    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// The position at the start of the pages. It is at `near` or less than 2^31 bytes beyond it.
    pub(super) fn position(&self, word: Word, near: u64) -> u64 {
        match word {
            Word::Bits64 => self.long().load(Ordering::Acquire),
            Word::Bits32 => {
                let position = self.half().load(Ordering::Acquire);
                near.wrapping_add(u64::from(position.wrapping_sub(near as u32)))
            }
        }
    }

    /// Sets the position at the start of the pages.
    pub(super) fn set_position(&self, word: Word, position: u64) {
        match word {
            Word::Bits64 => self.long().store(position, Ordering::Release),
            Word::Bits32 => self.half().store(position as u32, Ordering::Release),
        }
    }

    fn long(&self) -> &AtomicU64 {
        // SAFETY: a page is long enough and aligned, and lives as long as `self`.
        unsafe { self.at.cast().as_ref() }
    }

    fn half(&self) -> &AtomicU32 {
        // SAFETY: as for 64 bits.
        unsafe { self.at.cast().as_ref() }
    }

    /// The 32-bit number at an offset that is a multiple of 8.
    pub(super) fn word(&self, at: usize) -> Option<&AtomicU32> {
        let fits = at.is_multiple_of(8) && at.checked_add(4)? <= self.length;
        // SAFETY: it lies within the pages and is aligned, since pages are.
        fits.then(|| unsafe { self.at.byte_add(at).cast().as_ref() })
    }

    /// Bytes of a record, which the kernel does not change until they are released.
    pub(super) fn bytes(&self, at: usize, length: usize) -> Option<&[u8]> {
        let fits = at.checked_add(length)? <= self.length;
        // SAFETY: they lie within the pages; the record was submitted, which the kernel does not take back.
        fits.then(|| unsafe { std::slice::from_raw_parts(self.at.as_ptr().add(at), length) })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and nothing borrows them any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.length) };
    }
}
