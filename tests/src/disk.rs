//! Disks that fill up, refuse, fail and stall: private file systems that no other process sees.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::programs::{Bounded, end_within, succeed, tool};

/// A file system, mounted for this thread and its children only. Dropping it unmounts it.
pub struct Disk {
    place: TempDir,
}

impl Disk {
    /// In memory, of this size.
    pub fn memory(size: &str) -> Disk {
        let disk = Disk::begin();
        let options = format!("size={size},mode=700");
        succeed(tool("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(disk.root()));
        disk
    }

    /// ext4 in a file of this size. The kernel makes it read-only at the first error. Without a journal, since the
    /// journal's threads would wait for a stalled disk too.
    pub fn ext4(size: u64) -> Disk {
        let disk = Disk::begin();
        let image = disk.place.path().join("image");
        File::create(&image).and_then(|file| file.set_len(size)).expect("make an image");
        succeed(tool("mkfs.ext4").args(["-q", "-F", "-m", "0", "-O", "^has_journal"]).arg(&image));
        succeed(tool("mount").args(["-o", "loop,errors=remount-ro"]).arg(&image).arg(disk.root()));
        disk
    }

    /// Gives this thread a mount namespace of its own, which ends with it and its children.
    fn begin() -> Disk {
        // SAFETY: unshare takes a number, and moves this thread alone.
        let moved = unsafe { libc::unshare(libc::CLONE_NEWNS) };
        assert_eq!(moved, 0, "take a mount namespace, as root: {}", std::io::Error::last_os_error());
        succeed(tool("mount").args(["--make-rprivate", "/"]));
        let disk = Disk { place: TempDir::new().expect("make a directory") };
        fs::create_dir(disk.root()).expect("make a directory");
        disk
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    /// A state directory on it.
    pub fn state(&self) -> PathBuf {
        self.root().join("state")
    }

    /// Fills it up.
    pub fn fill(&self) {
        let mut file = File::create(self.root().join("other")).expect("make another file");
        for chunk in [1 << 16, 512] {
            while file.write_all(&vec![1; chunk]).is_ok() {}
        }
    }

    /// Undoes [`Disk::fill`].
    pub fn free(&self) {
        fs::remove_file(self.root().join("other")).expect("remove the other file");
    }

    /// Makes a file immutable, or mutable again.
    pub fn refuse(&self, file: &Path, refuse: bool) {
        succeed(tool("chattr").arg(if refuse { "+i" } else { "-i" }).arg(file));
    }

    /// Makes it read-only; no process may have a file open for writing.
    pub fn read_only(&self) {
        succeed(tool("mount").args(["-o", "remount,ro"]).arg(self.root()));
    }

    /// Triggers a file system error. After it the kernel refuses all writes.
    pub fn fail(&self) {
        let device = succeed(tool("findmnt").args(["-n", "-o", "SOURCE"]).arg(self.root()));
        let name = device.trim().trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test").expect("trigger an error of ext4");
    }

    /// Blocks writes until the returned guard is dropped.
    #[must_use]
    pub fn stall(&self) -> Stalled {
        // The script ends with its standard input, so that it thaws the disk even if the test is killed.
        let script = r#"fsfreeze -f "$1" && echo stalled; read -r _; fsfreeze -u "$1""#;
        let mut shell = tool("sh");
        shell.args(["-c", script, "sh"]).arg(self.root()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().expect("run a shell");
        let mut said = String::new();
        BufReader::new(shell.stdout.take().expect("it is piped")).read_line(&mut said).expect("what it says");
        assert_eq!(said, "stalled\n");
        Stalled(shell)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = tool("umount").arg("--lazy").arg(self.root()).finish();
    }
}

/// A stalled disk; dropping this thaws it.
pub struct Stalled(Child);

impl Drop for Stalled {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        end_within(&mut self.0, Duration::from_secs(10));
    }
}
