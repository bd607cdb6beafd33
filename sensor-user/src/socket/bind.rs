//! The socket file: its owner and mode, and the replacement of a stale socket file.

use std::ffi::CStr;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tattler_files::reason;
use thiserror::Error;
use tokio::net::UnixListener;

/// The group whose members may send queries, as the owner may.
pub(crate) const GROUP: &CStr = c"tattler";

/// The reason why the socket can't be created.
#[derive(Debug, Error)]
pub enum SocketBindError {
    /// A sensor answers at the path.
    #[error("a sensor is already running and listens at {}; stop it, or name another socket with --socket", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The path is in use by a file that is not a socket.
    #[error("{} exists and is no socket; remove it, or name another socket with --socket", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The directory or the socket can't be created.
    #[error("cannot listen at {}: {}; name another socket with --socket", path.display(), reason(source))]
    Failed {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The listening socket. Dropping the value removes the socket file.
#[derive(Debug)]
pub struct Listener {
    pub(super) listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Creates the socket with mode 0660 and with the group `tattler` if the group exists. If the directory is missing,
    /// creates the directory with mode 0750. Replaces the socket of a dead sensor. Needs tokio's runtime.
    pub fn bind(path: &Path) -> Result<Listener, SocketBindError> {
        let failed = |source| SocketBindError::Failed { path: path.to_owned(), source };
        let group = group_id(GROUP);
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
            DirBuilder::new().recursive(true).mode(0o750).create(dir).map_err(failed)?;
            give_to(group, dir).map_err(failed)?;
        }
        refuse_if_alive(path)?;

        // The socket has another name until mode and group are set. The rename then replaces a stale
        // socket in one step.
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let made = make(&draft, group).and_then(|listener| {
            let inode = fs::symlink_metadata(&draft)?.ino();
            fs::rename(&draft, path)?;
            Ok(Listener { listener, path: path.to_owned(), inode })
        });
        made.map_err(|source| {
            let _ = fs::remove_file(&draft); // The draft may not exist; the first error counts.
            failed(source)
        })
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Don't remove the socket of a later sensor.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path); // If the file stays, the next sensor replaces it.
        }
    }
}

fn refuse_if_alive(path: &Path) -> Result<(), SocketBindError> {
    let failed = |source| SocketBindError::Failed { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(SocketBindError::NoSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketBindError::InUse { path: path.to_owned() }),
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

/// Sets the group of the socket. Without the permission to set the group, only the owner can query the sensor, and
/// the sensor still runs.
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
    // The buffer also receives the members' names. A group too large for the buffer counts as missing.
    let mut names = vec![0; 64 * 1024];
    let mut group = std::mem::MaybeUninit::<libc::group>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: the arguments are a C string, a record, a buffer for the record's strings with the true length of the
    // buffer, and a place for a pointer. All are valid during the call, and the call keeps no pointer to them.
    let failed =
        unsafe { libc::getgrnam_r(name.as_ptr(), group.as_mut_ptr(), names.as_mut_ptr(), names.len(), &raw mut found) };
    // SAFETY: after success `found` is null or points to `group`. If `found` is not null, `group` is filled in.
    let group = if failed == 0 { unsafe { found.as_ref() } } else { None };
    group.map(|group| group.gr_gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_group_is_that_of_etc_group() {
        let root = std::fs::read_to_string("/etc/group").unwrap();
        let line = root.lines().find(|line| line.starts_with("root:")).unwrap();
        assert_eq!(group_id(c"root"), line.split(':').nth(2).unwrap().parse().ok());
        assert_eq!(group_id(c"no-such-group-here"), None);
    }
}
