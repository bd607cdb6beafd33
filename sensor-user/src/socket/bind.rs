//! The socket file: who may use it, and what a dead sensor left behind.

use std::ffi::CStr;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tattler_files::reason;
use thiserror::Error;
use tokio::net::UnixListener;

/// Whose members may ask, beside the owner.
pub(crate) const GROUP: &CStr = c"tattler";

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// A sensor answers there.
    #[error("a sensor is already running and listens at {}; stop it, or name another socket with --socket", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Nothing of ours to replace.
    #[error("{} exists and is no socket; remove it, or name another socket with --socket", path.display())]
    NoSocket {
        /// What is not a socket.
        path: PathBuf,
    },
    /// The directory or the socket can't be made.
    #[error("cannot listen at {}: {}; name another socket with --socket", path.display(), reason(source))]
    Failed {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The socket, removed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    pub(super) listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Makes the socket, 0660 and of the group `tattler` if there is one, and its directory, 0750,
    /// if that is not there. What a dead sensor left is replaced. Needs tokio's runtime.
    pub fn bind(path: &Path) -> Result<Listener, BindError> {
        let failed = |source| BindError::Failed { path: path.to_owned(), source };
        let group = group_id(GROUP);
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
            DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(failed)?;
            give_to(group, dir).map_err(failed)?;
        }
        refuse_if_alive(path)?;

        // Under another name until its mode and group are right; to move it then puts it in the
        // place of a stale one in a single step.
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let made = make(&draft, group).and_then(|listener| {
            let inode = fs::symlink_metadata(&draft)?.ino();
            fs::rename(&draft, path)?;
            Ok(Listener { listener, path: path.to_owned(), inode })
        });
        made.map_err(|source| {
            let _ = fs::remove_file(&draft); // It may not be there; the error to tell is the first.
            failed(source)
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Not the socket of a sensor that came after.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path); // If it stays, the next sensor replaces it.
        }
    }
}

fn refuse_if_alive(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Failed { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(BindError::NoSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(()),
            _ => Err(failed(error)),
        },
    }
}

fn make(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    give_to(group, path)?;
    Ok(listener)
}

/// A sensor that may not give files away serves its owner alone, which is no reason to stop.
fn give_to(group: Option<u32>, path: &Path) -> io::Result<()> {
    match chown(path, None, group) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!("cannot give {} to the group tattler; only this user can ask the sensor", path.display());
            Ok(())
        }
        result => result,
    }
}

pub(crate) fn group_id(name: &CStr) -> Option<u32> {
    // Members' names go there too; a group that is too large for it counts as none.
    let mut names = vec![0; 64 * 1024];
    let mut group = std::mem::MaybeUninit::<libc::group>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: a C string goes in, and places for a record, for the strings in it with their true
    // length, and for a pointer; all of them outlive the call, which keeps none.
    let failed =
        unsafe { libc::getgrnam_r(name.as_ptr(), group.as_mut_ptr(), names.as_mut_ptr(), names.len(), &raw mut found) };
    // SAFETY: after success `found` is null or points to `group`, which is then filled in.
    let group = if failed == 0 { unsafe { found.as_ref() } } else { None };
    group.map(|group| group.gr_gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_number_that_the_system_gives_it() {
        let root = std::fs::read_to_string("/etc/group").unwrap();
        let line = root.lines().find(|line| line.starts_with("root:")).unwrap();
        assert_eq!(group_id(c"root"), line.split(':').nth(2).unwrap().parse().ok());
        assert_eq!(group_id(c"no-such-group-here"), None);
    }
}
