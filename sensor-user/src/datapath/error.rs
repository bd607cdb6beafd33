//! The errors of loading, attaching and maps.

use std::io;
use std::path::{Path, PathBuf};

use aya::EbpfError;
use aya::maps::MapError as AyaMapError;
use aya::programs::ProgramError;
use tattler_files::reason;
use thiserror::Error;

/// The programs or maps could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The kernel lacks features.
    #[error("this kernel is older than 5.10, the oldest that tattler runs on; update it")]
    OldKernel,
    /// Neither root nor the capabilities.
    #[error("no permission to load the kernel programs; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    Permission,
    /// The version of the kernel is unknown.
    #[error("cannot read the version of this kernel: {0}")]
    Version(String),
    /// The kernel refused a program or a map.
    #[error("cannot load the kernel programs: {0}")]
    Refused(String),
    /// The embedded object does not contain a program or map, or it has another type.
    #[error("the embedded kernel programs have no {0}; this is a fault of the build")]
    Missing(String),
    /// The ring can't be mapped.
    #[error("cannot map the ring of events: {}", reason(.0))]
    Ring(#[source] io::Error),
    /// A map can't be read.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// The programs could not be attached to a device.
#[derive(Debug, Error)]
pub enum AttachError {
    /// No such device.
    #[error("there is no interface {0}; `ip link` lists them")]
    NoInterface(String),
    /// A device type that carries no IP.
    #[error("{name} has device type {kind}, on which tattler can't find IPv6 packets; name another interface")]
    Type {
        /// The device.
        name: String,
        /// ARPHRD_* of linux/if_arp.h.
        kind: u16,
    },
    /// Another XDP program is attached.
    #[error("cannot attach {program} to {name}: another XDP program is attached there; {}", way_out(name, pins.as_deref()))]
    Busy {
        /// The program.
        program: &'static str,
        /// The device.
        name: String,
        /// The directory of its pins, if it belongs to another tattler.
        pins: Option<PathBuf>,
    },
    /// Devices of this type do not support the mode.
    #[error(
        "packets of {0} begin with the IP header, which no driver's XDP sees; leave --attach out, or choose generic or tc"
    )]
    NoSuchMode(String),
    /// Attached already.
    #[error("{0} is watched already; name each interface once")]
    Twice(String),
    /// The program does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Anything else.
    #[error("cannot attach {program} to {name}: {reason}")]
    Other {
        /// The program.
        program: &'static str,
        /// The device.
        name: String,
        /// The error of the kernel.
        reason: String,
    },
}

/// `ip` can't detach a program that is attached by a link, like ours.
fn way_out(device: &str, pins: Option<&Path>) -> String {
    match pins {
        Some(pins) => {
            format!("it is a tattler's: stop that, or `tattler detach --pins {}` if it crashed", pins.display())
        }
        None => format!("`ip link set dev {device} xdp off` detaches it"),
    }
}

/// A map could not be read or written.
#[derive(Debug, Error)]
#[error("cannot access the map {map}: {reason}")]
pub struct MapError {
    pub(super) map: &'static str,
    pub(super) reason: String,
}

impl MapError {
    /// For `map_err`: an error about a map.
    pub(super) fn of<E: std::error::Error + 'static>(map: &'static str) -> impl Fn(E) -> MapError + Copy {
        move |error| MapError { map, reason: one_line(&error) }
    }
}

impl LoadError {
    fn new(error: &(dyn std::error::Error + 'static)) -> LoadError {
        let no_permission = errno(error) == Some(libc::EPERM);
        if no_permission { LoadError::Permission } else { LoadError::Refused(one_line(error)) }
    }
}

impl From<EbpfError> for LoadError {
    fn from(error: EbpfError) -> Self {
        LoadError::new(&error)
    }
}

impl From<ProgramError> for LoadError {
    fn from(error: ProgramError) -> Self {
        LoadError::new(&error)
    }
}

impl From<AyaMapError> for LoadError {
    fn from(error: AyaMapError) -> Self {
        LoadError::new(&error)
    }
}

pub(super) fn missing(kind: &'static str, name: &str) -> LoadError {
    LoadError::Missing(format!("{kind} {name}"))
}

/// The error number at the root of an error, if the kernel gave one.
pub(super) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(code);
        }
        source = error.source();
    }
    None
}

/// An error and its causes in one line. A verifier's log is shortened to its conclusion.
pub(super) fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut source = Some(error);
    while let Some(error) = source {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default().to_owned();
        // People do not need the number.
        let first = first.split(" (os error ").next().unwrap_or_default().to_owned();
        let part = match lines.rfind(|line| !line.starts_with("processed") && !line.starts_with("verification time")) {
            Some(last) => format!("{first} {last}"),
            None => first,
        };
        if !parts.iter().any(|known| known.contains(&part)) {
            parts.push(part);
        }
        source = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_and_its_causes_are_one_line_without_numbers() {
        let refused = ProgramError::SyscallError(aya::sys::SyscallError {
            call: "bpf_link_create",
            io_error: io::Error::from_raw_os_error(libc::EINVAL),
        });
        assert_eq!(one_line(&refused), "`bpf_link_create` failed: Invalid argument");
    }
}
