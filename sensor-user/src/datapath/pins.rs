//! Where a sensor pins what it leaves to its next life: maps, ring and links.
//!
//! Below /sys/fs/bpf/tattler, each state directory has a directory of its own: its ring belongs to its
//! diary, and whoever has the diary's lock has the pins.
//!
//! ```text
//! tattler-ffe9c90b/                                   for /var/lib/tattler
//! tattler-ffe9c90b/maps-8c41e0f2a55d7b90/EVENTS       by layout: another version's are left alone
//! tattler-ffe9c90b/links/4026531840-2-in-tattler_xdp-native
//! ```
//!
//! A link's name tells all that the kernel does not tell of it: the network namespace, the device's
//! index, the program and the mode.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use aya::maps::MapData;
use sensor_common::{layout, names};
use tattler_files::reason;
use thiserror::Error;

use super::adopt::RECORD;
use super::ring::Ring;
use super::{PINS, Sizes};
use crate::mark::Mark;

/// What statfs says of a BPF file system (linux/magic.h).
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// Why nothing can be pinned.
#[derive(Debug, Error)]
pub enum PinError {
    /// Nothing is mounted there, or something else.
    #[error("{} is no BPF file system; `mount -t bpf -o mode=0700 bpf /sys/fs/bpf` makes one", .0.display())]
    NoFileSystem(PathBuf),
    /// Another sensor has the pins.
    #[error("the pins in {} are in use by another tattler; stop it", .0.display())]
    InUse(PathBuf),
    /// Someone else could put other maps and links in place of ours.
    #[error("others can write to {}; remove it, or mount the BPF file system with -o mode=0700", .0.display())]
    Shared(PathBuf),
    /// Anything else.
    #[error("cannot pin below {}: {}", directory.display(), reason(source))]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The pins of one sensor.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
    maps: PathBuf,
    namespace: u64,
    /// Locked: two that drain one ring would each have a part. The diary's lock does not do, since two containers
    /// may each have a diary by the same path, and share this file system.
    _lock: File,
}

/// A link, or what stands for one, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PinnedName {
    /// The device.
    pub(super) index: u32,
    /// `in` or `out`.
    pub(super) way: String,
    /// The program.
    pub(super) program: String,
    /// `native`, `generic`, `tcx`, or `clsact` with priority and handle.
    pub(super) mode: String,
}

impl Pins {
    /// The pins of the sensor with a state directory, for maps of these sizes. Makes their directories.
    ///
    /// # Errors
    /// When there is no BPF file system, or no permission.
    pub fn open(state: &Path, sizes: Sizes) -> Result<Pins, PinError> {
        let directory = directory(state);
        let root = Path::new(PINS).parent().unwrap_or(Path::new("/"));
        if !is_on_bpf(root) {
            return Err(PinError::NoFileSystem(root.to_owned()));
        }
        let failed = |source| PinError::Directory { directory: directory.clone(), source };
        let layout = layout::of(&[sizes.ring_bytes.into(), sizes.entries.into()]);
        let maps = directory.join(format!("maps-{layout:016x}"));
        for directory in [directory.join("links"), maps.clone()] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        for directory in [Path::new(PINS), &directory] {
            let metadata = fs::symlink_metadata(directory).map_err(failed)?;
            let ours = metadata.uid() == rustix::process::geteuid().as_raw();
            if !ours || metadata.mode() & 0o022 != 0 {
                return Err(PinError::Shared(directory.to_owned()));
            }
        }
        let lock = lock(&directory)?;
        let namespace = namespace().map_err(failed)?;
        Ok(Pins { directory, maps, namespace, _lock: lock })
    }

    /// Whether these are the pins in a directory.
    pub(super) fn is_at(&self, directory: &Path) -> bool {
        self.directory == directory
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.maps.join(name)
    }

    /// Whether an earlier life left its maps.
    pub(super) fn has_maps(&self) -> bool {
        names::MAPS.iter().all(|name| self.map(name).exists())
    }

    /// Removes maps of which some are missing: a life that ended while it pinned them, or removed them,
    /// left the rest, with a ring that was drained and prefixes that nobody would know to be told.
    pub(super) fn remove_partial(&self) {
        if !self.has_maps() {
            names::MAPS.iter().for_each(|name| _ = fs::remove_file(self.map(name)));
        }
    }

    /// Where a link is pinned.
    pub(super) fn link(&self, name: &PinnedName) -> PathBuf {
        let PinnedName { index, way, program, mode } = name;
        self.directory.join("links").join(format!("{}-{index}-{way}-{program}-{mode}", self.namespace))
    }

    /// What is pinned for a device's ingress or egress.
    pub(super) fn find(&self, index: u32, way: &str) -> Option<PinnedName> {
        let entries = fs::read_dir(self.directory.join("links")).ok()?.filter_map(Result::ok);
        let ours = format!("{}-", self.namespace);
        let mut names = entries.filter_map(|entry| parse(entry.file_name().to_str()?.strip_prefix(&ours)?));
        names.find(|name| name.index == index && name.way == way)
    }

    /// What is pinned for devices of this network namespace, beside these.
    pub(super) fn all_but(&self, kept: &[&Path]) -> Vec<PinnedName> {
        let entries = fs::read_dir(self.directory.join("links")).into_iter().flatten().filter_map(Result::ok);
        let ours = format!("{}-", self.namespace);
        let others = entries.filter(|entry| !kept.contains(&entry.path().as_path()));
        others.filter_map(|entry| parse(entry.file_name().to_str()?.strip_prefix(&ours)?)).collect()
    }

    /// Removes the links that are left beside these: those of other network namespaces.
    pub(super) fn keep_only(&self, kept: &[&Path]) {
        for entry in fs::read_dir(self.directory.join("links")).into_iter().flatten().filter_map(Result::ok) {
            if !kept.contains(&entry.path().as_path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Removes the maps of other layouts; returns the events that waited in their rings, beyond the mark if
    /// that is of one of them.
    pub(super) fn remove_other_layouts(&self, mark: Option<Mark>) -> Option<u64> {
        let mut events = None;
        for entry in fs::read_dir(&self.directory).into_iter().flatten().filter_map(Result::ok) {
            let is_maps = entry.file_name().to_str().is_some_and(|name| name.starts_with("maps-"));
            if !is_maps || entry.path() == self.maps {
                continue;
            }
            *events.get_or_insert(0) += waiting(&entry.path(), mark).unwrap_or(0);
            let _ = fs::remove_dir_all(entry.path());
        }
        events
    }

    /// Removes all pins.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.directory);
        // Unless another sensor has pins there.
        let _ = fs::remove_dir(PINS);
    }
}

/// The pins of the tattler whose programs are at the ingress of a device, if there are any.
pub(super) fn of_device(index: u32) -> Option<PathBuf> {
    let begins = format!("{}-{index}-in-", namespace().ok()?);
    let is_there = |directory: &PathBuf| {
        let links = fs::read_dir(directory.join("links")).into_iter().flatten().filter_map(Result::ok);
        links.into_iter().any(|link| link.file_name().to_str().is_some_and(|name| name.starts_with(&begins)))
    };
    fs::read_dir(PINS).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path())).find(is_there)
}

/// Keeps every sensor from the pins in a directory, as long as the file is held.
///
/// # Errors
/// When one has them.
pub fn lock(directory: &Path) -> Result<File, PinError> {
    let failed = |source| PinError::Directory { directory: directory.to_owned(), source };
    let file = File::open(directory).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PinError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The number of this thread's network namespace: a process may have threads in several.
fn namespace() -> io::Result<u64> {
    fs::metadata("/proc/thread-self/ns/net").map(|metadata| metadata.ino())
}

/// Events that wait in a ring of another layout. Those that were taken out and not written are as long as ours,
/// for all that can be known.
fn waiting(maps: &Path, mark: Option<Mark>) -> Option<u64> {
    let map = MapData::from_pin(maps.join(names::EVENTS)).ok()?;
    let mut ring = Ring::open(&map).ok()?;
    let mark = mark.filter(|mark| map.info().is_ok_and(|info| info.id() == mark.ring));
    let unwritten = mark.map_or(0, |mark| ring.skip_to(mark.position)) / RECORD;
    Some(unwritten + ring.count())
}

/// The directory of the pins that belong to a state directory. The name is for people, the number
/// keeps apart what has the same name.
#[must_use]
pub fn directory(state: &Path) -> PathBuf {
    let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    // The file system takes no dots.
    let name: String = name.chars().take(64).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let hash = blake3::hash(state.as_os_str().as_bytes()).to_hex();
    Path::new(PINS).join(format!("{name}-{}", &hash[..8]))
}

/// A name without its namespace.
fn parse(name: &str) -> Option<PinnedName> {
    let mut parts = name.splitn(4, '-');
    let index = parts.next()?.parse().ok()?;
    let [way, program, mode] = [parts.next()?, parts.next()?, parts.next()?].map(str::to_owned);
    Some(PinnedName { index, way, program, mode })
}

/// Whether a path is on a BPF file system.
pub(super) fn is_on_bpf(path: &Path) -> bool {
    // Its type has 32 bits or 64, and a sign or none, by machine.
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type as u32 == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_name_tells_what_it_is() {
        let name =
            |mode: &str| PinnedName { index: 7, way: "out".into(), program: names::EGRESS.into(), mode: mode.into() };
        let pins = Pins {
            directory: "/d".into(),
            maps: "/d/maps-0".into(),
            namespace: 4_026_531_840,
            _lock: File::open("/").unwrap(),
        };
        for mode in ["tcx", "clsact-49152-00010000"] {
            let path = pins.link(&name(mode));
            let text = path.to_str().unwrap().strip_prefix("/d/links/4026531840-").unwrap();
            assert_eq!(parse(text), Some(name(mode)));
        }
        for text in ["", "x-in-p-m", "7-in-p", "-7-in-p-m"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn of_maps_that_are_not_all_there_none_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins {
            directory: dir.path().into(),
            maps: dir.path().into(),
            namespace: 1,
            _lock: lock(dir.path()).unwrap(),
        };
        let left = || fs::read_dir(dir.path()).unwrap().count();
        names::MAPS.iter().for_each(|name| fs::write(pins.map(name), "").unwrap());
        pins.remove_partial();
        assert_eq!((left(), pins.has_maps()), (names::MAPS.len(), true));
        fs::remove_file(pins.map(names::BUDGETS)).unwrap();
        pins.remove_partial();
        assert_eq!(left(), 0);
    }

    #[test]
    fn state_directories_with_the_same_name_have_pins_of_their_own() {
        let one = directory(Path::new("/nowhere/one/state"));
        let two = directory(Path::new("/nowhere/two/state"));
        assert_ne!(one, two);
        assert!(one.to_str().unwrap().starts_with("/sys/fs/bpf/tattler/state-"), "{}", one.display());
        assert!(!directory(Path::new("/nowhere/.tmpX")).file_name().unwrap().to_str().unwrap().contains('.'));
    }
}
