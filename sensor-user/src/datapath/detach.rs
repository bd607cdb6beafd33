//! Removes what a crashed sensor left behind.
//!
//! The kernel removes links when their process ends. Pinned objects stay, and so do filters on a clsact qdisc, which
//! kernels before 6.6 have instead of links. The qdisc itself is left, because it may have been there before.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

use aya::programs::links::{LinkError, PinnedLink};
use aya::programs::tc::{TcError, qdisc_detach_program};
use aya::programs::{SchedClassifier, TcAttachType};
use sensor_common::names;
use tattler_files::reason;

use super::attach::LETS_GO_WITHIN;
use super::error::{errno, one_line};
use super::pins::is_on_bpf;

/// The directory of pins.
pub const PINS: &str = "/sys/fs/bpf/tattler";

/// Our TC programs and their directions.
const CLASSIFIERS: [(TcAttachType, &str); 4] = [
    (TcAttachType::Ingress, names::INGRESS_TC),
    (TcAttachType::Ingress, names::INGRESS_TC_RAW),
    (TcAttachType::Egress, names::EGRESS),
    (TcAttachType::Egress, names::EGRESS_RAW),
];

/// The depth of our directories below [`PINS`].
const DEEPEST: u32 = 4;

/// The result, a line for each object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Removed objects.
    pub removed: Vec<String>,
    /// Objects that are left, and why.
    pub stays: Vec<String>,
}

/// Removes programs that are left attached to these devices, and pins below a directory.
#[must_use]
pub fn remove_leftovers(devices: &[String], pins: &Path) -> Leftovers {
    let mut found = Leftovers::default();
    for device in devices {
        for (way, name) in CLASSIFIERS {
            match qdisc_detach_program(device, way, name) {
                Ok(()) => found.removed.push(format!("detached {name} from {device}")),
                Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => {}
                // The device was deleted meanwhile.
                Err(error) if errno(&error) == Some(libc::ENODEV) => {}
                Err(error) => {
                    found.stays.push(format!("cannot look for {name} at {device}: {}; run as root", one_line(&error)));
                }
            }
        }
    }
    // With a mistyped path, not even an empty directory may be removed.
    if pins.exists() && !is_on_bpf(pins) {
        let line =
            format!("{} is on no BPF file system, so it has no pins; name their directory with --pins", pins.display());
        found.stays.push(line);
    } else {
        unpin(pins, 0, &mut found);
    }
    let mut still = held(devices);
    // The kernel detaches a link a moment after its pin is removed.
    let deadline = Instant::now() + LETS_GO_WITHIN;
    while !found.removed.is_empty() && !still.is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(20));
        still = held(devices);
    }
    found.stays.extend(still);
    found
}

/// Removes the BPF objects in a directory, and then the directory. Other files stay.
fn unpin(directory: &Path, depth: u32, found: &mut Leftovers) {
    let refused = |path: &Path, error: &io::Error| {
        let way_out = match error.kind() {
            io::ErrorKind::PermissionDenied => "; run as root",
            io::ErrorKind::NotADirectory => "; name the directory with --pins",
            _ => "",
        };
        format!("cannot unpin {}: {}{way_out}", path.display(), reason(error))
    };
    let entries = match fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return found.stays.push(refused(directory, &error)),
    };
    let before = found.stays.len();
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) && depth < DEEPEST {
            unpin(&path, depth + 1, found);
            continue;
        }
        // Opens any pinned object, link, map or program, and nothing else.
        let removed = match PinnedLink::from_pin(&path) {
            Ok(_) => fs::remove_file(&path),
            Err(LinkError::SyscallError(error)) => Err(error.io_error),
            Err(error) => Err(io::Error::other(error)),
        };
        match removed {
            Ok(()) => found.removed.push(format!("unpinned {}", path.display())),
            Err(error) => found.stays.push(refused(&path, &error)),
        }
    }
    if found.stays.len() == before
        && let Err(error) = fs::remove_dir(directory)
    {
        found.stays.push(refused(directory, &error));
    }
}

/// Our programs that a running process keeps attached. Kernels without tcx can't list them.
fn held(devices: &[String]) -> Vec<String> {
    let mut held = Vec::new();
    for device in devices {
        for way in [TcAttachType::Ingress, TcAttachType::Egress] {
            let Ok((_, programs)) = SchedClassifier::query_tcx(device, way) else { continue };
            let names = programs.iter().filter_map(|program| program.name_as_str());
            for name in names.filter(|name| CLASSIFIERS.iter().any(|(_, ours)| ours == name)) {
                held.push(format!("{name} stays attached to {device}: a process that runs holds it; stop that"));
            }
        }
    }
    held
}
