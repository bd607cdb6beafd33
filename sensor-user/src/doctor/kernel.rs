//! Version, compiler, programs, capabilities.

use std::fs;
use std::path::Path;

use super::Check;
use crate::datapath;

/// The oldest supported version, and the first in which other programs can't end the chain at egress before ours.
const OLDEST: (u32, u32) = (5, 10);
const TCX: (u32, u32) = (6, 6);

/// linux/capability.h
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

pub(super) fn checks() -> Vec<Check> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let jit = match read("/proc/sys/net/core/bpf_jit_enable").trim() {
        "0" => {
            let advice = "set net.core.bpf_jit_enable=1 with sysctl";
            Check::note("bpf jit", "off: each packet costs several times as much", advice)
        }
        // The file does not exist if the kernel was built without an interpreter.
        _ => Check::ok("bpf jit", "on"),
    };
    let btf = if Path::new("/sys/kernel/btf/vmlinux").exists() {
        Check::ok("btf", "there")
    } else {
        let advice = "nothing: tattler needs none; other tools show programs better with it";
        Check::note("btf", "the kernel has none", advice)
    };
    let programs = match datapath::check() {
        Ok(()) => Check::ok("programs", "the kernel takes them (loaded, not attached)"),
        Err(error) => Check::problem(
            "programs",
            error.to_string(),
            "run as root on Linux 5.10 or later with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS",
        ),
    };
    let version = version(read("/proc/sys/kernel/osrelease").trim());
    vec![version, jit, btf, bpffs(&read("/proc/mounts")), capabilities(&read("/proc/self/status")), programs]
}

fn version(release: &str) -> Check {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let found = format!("Linux {release}");
    if version < OLDEST {
        Check::problem("kernel", found, "update to Linux 5.10 or later, which have the ring buffer")
    } else if version < TCX {
        let advice = "see that no other program at egress ends the chain; from Linux 6.6 on tattler has its own place";
        Check::note("kernel", format!("{found}: egress is a filter of the clsact qdisc"), advice)
    } else {
        Check::ok("kernel", found)
    }
}

fn bpffs(mounts: &str) -> Check {
    let mounted = |line: &str| line.split(' ').skip(1).take(2).eq(["/sys/fs/bpf", "bpf"]);
    if mounts.lines().any(mounted) {
        Check::ok("bpffs", "mounted at /sys/fs/bpf")
    } else {
        let advice = "run `mount -t bpf -o mode=0700 bpf /sys/fs/bpf`; systemd does it at boot";
        Check::note("bpffs", "not mounted at /sys/fs/bpf", advice)
    }
}

fn capabilities(status: &str) -> Check {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Check::note("permissions", "/proc/self/status does not show them", "mount /proc, or run as root");
    };
    let has = |capability: u32| effective & (1 << capability) != 0;
    let wanted = [("CAP_BPF", CAP_BPF), ("CAP_NET_ADMIN", CAP_NET_ADMIN), ("CAP_PERFMON", CAP_PERFMON)];
    // CAP_SYS_ADMIN includes the two that were split from it in 5.8.
    let covered = |c: u32| has(c) || c != CAP_NET_ADMIN && has(CAP_SYS_ADMIN);
    let missing: Vec<&str> = wanted.iter().filter(|(_, c)| !covered(*c)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        Check::ok("permissions", "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
    } else {
        Check::problem("permissions", format!("{} missing", missing.join(", ")), "run as root, or grant them")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(version("6.12.1-amd64").level, Level::Ok);
        assert_eq!(version("5.10.0-28").level, Level::Note);
        assert_eq!(version("5.9.16").level, Level::Problem);
        assert_eq!(version("").level, Level::Problem);
    }

    #[test]
    fn missing_capabilities_are_named_and_root_has_them() {
        assert_eq!(capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n").level, Level::Ok);
        assert_eq!(capabilities("CapEff:\t000000c000001000\n").level, Level::Ok);
        assert_eq!(capabilities("CapEff:\t0000004000001000\n").found, "CAP_BPF missing");
        assert_eq!(capabilities("CapEff:\t0000000000000000\n").found, "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing");
    }

    #[test]
    fn only_bpffs_counts_as_mounted_there() {
        let sysfs = "sysfs /sys/fs/bpf sysfs rw,relatime 0 0\n";
        assert_eq!(bpffs(sysfs).level, Level::Note);
        assert_eq!(bpffs(&format!("{sysfs}bpf /sys/fs/bpf bpf rw 0 0\n")).level, Level::Ok);
    }
}
