//! A BPF file system for the tests, which many machines have not mounted.

use std::ffi::CStr;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};

const AT: &str = "/sys/fs/bpf";

/// Moves this thread, and the processes that it starts from now on, to a mount namespace of their own with a
/// new BPF file system. Pins of tests never meet those of the machine, and both mounts and pins end with
/// the last of these processes.
pub fn provide() -> Result<()> {
    if !Path::new(AT).is_dir() {
        bail!("no {AT} here: mount sysfs at /sys, with a kernel that has CONFIG_BPF_SYSCALL");
    }
    // SAFETY: unshare takes a number and moves this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }).context("make a mount namespace")?;
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE, None).context("make all mounts private")?;
    mount(c"bpf", c"/sys/fs/bpf", Some(c"bpf"), 0, Some(c"mode=0700")).with_context(|| format!("mount bpf at {AT}"))
}

fn mount(source: &CStr, at: &CStr, kind: Option<&CStr>, flags: libc::c_ulong, data: Option<&CStr>) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the kernel reads strings that are alive and end in a zero byte, or null, which both may be.
    check(unsafe { libc::mount(source.as_ptr(), at.as_ptr(), pointer(kind), flags, pointer(data).cast()) })
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
