//! File systems, modules, and the end.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Mount points and types.
const MOUNTS: &[(&str, &str)] = &[
    ("/proc", "proc"),
    ("/sys", "sysfs"),
    ("/sys/fs/bpf", "bpf"),
    ("/dev", "devtmpfs"),
    ("/dev/pts", "devpts"),
    ("/run", "tmpfs"),
    ("/tmp", "tmpfs"),
];

/// Mounts file systems and inserts modules.
/// Panics when the kernel refuses one: the guest then ends.
pub fn set_up() {
    for (at, kind) in MOUNTS {
        // Fails for directories like /sys/fs/bpf, which exist already.
        let _ = fs::create_dir_all(at);
        mount(at, kind).unwrap_or_else(|error| panic!("mount {kind} at {at}: {error}"));
    }
    fs::create_dir_all("/run/netns").expect("make /run/netns");
    // SAFETY: no other thread runs yet.
    unsafe {
        std::env::set_var("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        std::env::set_var("TATTLER_BIN", "/bin/tattler");
        // The machine is emulated, and the host is busy.
        std::env::set_var("TATTLER_PATIENCE", "4");
    }
    let mut modules: Vec<PathBuf> = fs::read_dir("/modules")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    // Their names begin with a number: each comes after its dependencies.
    modules.sort();
    for module in &modules {
        insert(module).unwrap_or_else(|error| panic!("insert {}: {error}", module.display()));
    }
    fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").expect("let addresses be used at once");
}

fn mount(at: &str, kind: &str) -> io::Result<()> {
    let (at, kind) = (CString::new(at)?, CString::new(kind)?);
    // SAFETY: reads three strings that are alive and end in a zero byte; no data is given.
    match unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn insert(module: &PathBuf) -> io::Result<()> {
    let file = File::open(module)?;
    // SAFETY: takes an open descriptor, a string that ends in a zero byte, and a number.
    match unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's release, as `uname -r` gives it.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The kernel's version, for what depends on it.
pub fn version() -> (u32, u32) {
    let release = release();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// Ends the guest: QEMU runs with -no-reboot.
pub fn turn_off() -> ! {
    // SAFETY: sync and reboot touch no memory of ours.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
    unreachable!("the machine reboots")
}
