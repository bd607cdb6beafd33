//! Pins maps, ring and links for the next run of the sensor.
//!
//! Below /sys/fs/bpf/tattler, each state directory has its own directory, because a ring belongs to one store.
//!
//! ```text
//! tattler-ffe9c90b/                                   for /var/lib/tattler
//! tattler-ffe9c90b/maps-8c41e0f2a55d7b90/EVENTS       by layout, so that versions do not mix
//! tattler-ffe9c90b/links/4026531840-2-in-tattler_xdp-native
//! ```
//!
//! The kernel does not store these facts about a link, so its name has them: the network namespace, the index of the
//! device, the program and the mode.

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
use super::held::Held;
use super::ring::EventRing;
use super::{PINS, Sizes};
use crate::mark::Mark;

/// The type of a BPF file system in statfs (linux/magic.h).
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// Why pinning is not possible.
#[derive(Debug, Error)]
pub enum PinError {
    /// No BPF file system is mounted there.
    #[error("{} is no BPF file system; `mount -t bpf -o mode=0700 bpf /sys/fs/bpf` makes one", .0.display())]
    NoFileSystem(PathBuf),
    /// Another sensor uses the pins.
    #[error("the pins in {} are in use by another tattler; stop it", .0.display())]
    InUse(PathBuf),
    /// Other users could replace maps and links.
    #[error("others can write to {}; remove it, or mount the BPF file system with -o mode=0700", .0.display())]
    Shared(PathBuf),
    /// Anything else.
    #[error("cannot pin below {}: {}", directory.display(), reason(source))]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The pins of one sensor.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
    maps: PathBuf,
    namespace: u64,
    /// Locked, because two sensors that drain one ring would each get a part of the events. The lock of the store is
    /// not enough: two containers may have stores with the same path and share this file system.
    _lock: File,
}

/// The facts in the name of a pinned link or program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PinnedName {
    /// The index of the device.
    pub(super) index: u32,
    /// `in` or `out`.
    pub(super) way: String,
    /// The program.
    pub(super) program: String,
    /// `native`, `generic`, `tcx`, or `clsact` with priority and handle.
    pub(super) mode: String,
}

impl Pins {
    /// Opens the pins for a state directory and for maps of these sizes. Creates their directories.
    ///
    /// # Errors
    /// There is no BPF file system, or no permission.
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

    /// Whether an earlier run left its maps.
    pub(super) fn has_maps(&self) -> bool {
        names::MAPS.iter().all(|name| self.map(name).exists())
    }

    /// Removes the maps if some are missing: a sensor was killed while it pinned or removed them, so the rest is of no
    /// use.
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

    /// The links of this network namespace that are not in `kept`.
    fn links(&self, kept: &[&Path]) -> impl Iterator<Item = PinnedName> {
        let ours = format!("{}-", self.namespace);
        let others =
            paths(&self.directory.join("links")).into_iter().filter(move |path| !kept.contains(&path.as_path()));
        others.filter_map(move |path| parse(path.file_name()?.to_str()?.strip_prefix(&ours)?))
    }

    /// The link of a device's ingress or egress.
    pub(super) fn find(&self, index: u32, way: &str) -> Option<PinnedName> {
        self.links(&[]).find(|name| name.index == index && name.way == way)
    }

    /// Detaches and removes all links except these. Those of other network namespaces are only removed.
    pub(super) fn keep_only(&self, kept: &[&Path]) {
        self.links(kept).for_each(|left| Held::remove(self, &left));
        let others = paths(&self.directory.join("links")).into_iter().filter(|path| !kept.contains(&path.as_path()));
        others.for_each(|path| _ = fs::remove_file(path));
    }

    /// Removes the maps of other layouts. Returns the events that waited in their rings, beyond the mark if it belongs
    /// to one of them.
    pub(super) fn remove_other_layouts(&self, mark: Option<Mark>) -> Option<u64> {
        let mut events = None;
        let is_maps = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"maps-"));
        for maps in paths(&self.directory).into_iter().filter(|path| is_maps(path) && *path != self.maps) {
            *events.get_or_insert(0) += waiting(&maps, mark).unwrap_or(0);
            let _ = fs::remove_dir_all(maps);
        }
        events
    }

    /// Removes all pins.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.directory);
        // Fails if another sensor has pins there.
        let _ = fs::remove_dir(PINS);
    }
}

/// The paths in a directory, none if it can't be read.
fn paths(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The pins of the tattler whose programs are at the ingress of a device, if there are any.
pub(super) fn of_device(index: u32) -> Option<PathBuf> {
    let begin = format!("{}-{index}-in-", namespace().ok()?);
    let is_link = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_bytes().starts_with(begin.as_bytes()));
    paths(Path::new(PINS)).into_iter().find(|directory| paths(&directory.join("links")).iter().any(is_link))
}

/// Prevents sensors from using the pins in a directory while the returned file is open.
///
/// # Errors
/// A sensor uses them.
pub fn lock(directory: &Path) -> Result<File, PinError> {
    let failed = |source| PinError::Directory { directory: directory.to_owned(), source };
    let file = File::open(directory).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PinError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The inode of this thread's network namespace. The threads of a process may be in several.
fn namespace() -> io::Result<u64> {
    fs::metadata("/proc/thread-self/ns/net").map(|metadata| metadata.ino())
}

/// Events that wait in a ring of another layout. The size of events that were read and not stored is unknown; ours is
/// assumed.
fn waiting(maps: &Path, mark: Option<Mark>) -> Option<u64> {
    let map = MapData::from_pin(maps.join(names::EVENTS)).ok()?;
    let mut ring = EventRing::open(&map).ok()?;
    let mark = mark.filter(|mark| map.info().is_ok_and(|info| info.id() == mark.ring));
    let unwritten = mark.map_or(0, |mark| ring.skip_to(mark.position)) / RECORD;
    Some(unwritten + ring.count())
}

/// The directory of the pins for a state directory. The hash distinguishes state directories with the same name.
#[must_use]
pub fn directory(state: &Path) -> PathBuf {
    let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    // The BPF file system does not allow dots.
    let name: String = name.chars().take(64).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let hash = blake3::hash(state.as_os_str().as_bytes()).to_hex();
    Path::new(PINS).join(format!("{name}-{}", &hash[..8]))
}

/// Parses a name without the namespace.
fn parse(name: &str) -> Option<PinnedName> {
    let mut parts = name.splitn(4, '-');
    let index = parts.next()?.parse().ok()?;
    let [way, program, mode] = [parts.next()?, parts.next()?, parts.next()?].map(str::to_owned);
    Some(PinnedName { index, way, program, mode })
}

/// Whether a path is on a BPF file system.
pub(super) fn is_on_bpf(path: &Path) -> bool {
    // The size and the sign of `f_type` depend on the machine.
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type as u32 == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_link_has_its_facts() {
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
    fn maps_are_removed_if_one_is_missing() {
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
    fn state_directories_with_the_same_name_have_different_pins() {
        let one = directory(Path::new("/nowhere/one/state"));
        let two = directory(Path::new("/nowhere/two/state"));
        assert_ne!(one, two);
        assert!(one.to_str().unwrap().starts_with("/sys/fs/bpf/tattler/state-"), "{}", one.display());
        assert!(!directory(Path::new("/nowhere/.tmpX")).file_name().unwrap().to_str().unwrap().contains('.'));
    }
}
