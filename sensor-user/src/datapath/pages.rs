//! Pages that a map shares with the kernel: the few unsafe lines that reading a ring takes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize};

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

    /// The position at the start of the pages: an unsigned long of the kernel.
    pub(super) fn position(&self) -> &AtomicUsize {
        // SAFETY: a page is long enough and aligned, and lives as long as `self`.
        unsafe { self.at.cast().as_ref() }
    }

    /// The 32-bit number at a place that is a multiple of 8.
    pub(super) fn word(&self, at: usize) -> Option<&AtomicU32> {
        let fits = at.is_multiple_of(8) && at.checked_add(4)? <= self.length;
        // SAFETY: it lies within the pages and is aligned, since pages are.
        fits.then(|| unsafe { self.at.byte_add(at).cast().as_ref() })
    }

    /// Bytes that the kernel does not change until their room is given back.
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
