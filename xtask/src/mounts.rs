//! Mounts that only the tests see: a BPF file system, which many machines lack, and a directory for the names of
//! network namespaces.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};

const BPF: &str = "/sys/fs/bpf";
const NAMES: &str = "/run/netns";

/// Moves this thread to a new mount namespace with its own BPF file system. Processes that the thread starts later are
/// in this namespace too. Tests and the machine do not see each other's pins and namespaces. The kernel removes these
/// mounts when the last of the processes ends, even if the processes are killed.
pub fn provide() -> Result<()> {
    if !Path::new(BPF).is_dir() {
        bail!("no {BPF} here: mount sysfs at /sys, with a kernel that has CONFIG_BPF_SYSCALL");
    }
    // SAFETY: unshare takes a number and moves this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }).context("make a mount namespace")?;
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE, None).context("make all mounts private")?;
    mount(c"bpf", c"/sys/fs/bpf", Some(c"bpf"), 0, Some(c"mode=0700"))
        .with_context(|| format!("mount bpf at {BPF}"))?;
    fs::create_dir_all(NAMES).with_context(|| format!("make {NAMES}"))?;
    mount(c"tmpfs", c"/run/netns", Some(c"tmpfs"), 0, None).with_context(|| format!("mount tmpfs at {NAMES}"))
}

fn mount(source: &CStr, at: &CStr, kind: Option<&CStr>, flags: libc::c_ulong, data: Option<&CStr>) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the strings are alive and end in a zero byte. Type and data may be null.
    check(unsafe { libc::mount(source.as_ptr(), at.as_ptr(), pointer(kind), flags, pointer(data).cast()) })
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
