//! Clock, disk, state directory, socket, listen address.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use tattler_files::reason;

use super::Check;
use crate::config::Config;
use crate::http;
use crate::socket::{GROUP, group_id};

/// A sensor on this machine answers sooner.
const PATIENCE: Duration = Duration::from_secs(2);
/// The data of a day may need more.
const LITTLE: u64 = 100 << 20;

pub(super) fn checks(config: &Config) -> Vec<Check> {
    let bound = u64::from(config.store.max_size_mib) << 20;
    vec![
        clock(),
        state(&config.sensor.state),
        disk(&config.sensor.state, bound),
        socket(&config.sensor.socket),
        listen(config.sensor.listen),
        group(),
    ]
}

fn clock() -> Check {
    // SAFETY: all zeros is a valid timex; modes 0 asks and sets nothing.
    let mut timex: libc::timex = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the kernel writes into `timex`, which outlives the call.
    if unsafe { libc::adjtimex(&raw mut timex) } == -1 {
        return Check::note("clock", "the kernel does not say whether it is synchronised", "see `timedatectl`");
    }
    if timex.status & libc::STA_UNSYNC == 0 {
        return Check::ok("clock", "synchronised");
    }
    let found = "not synchronised: times may differ from those of other machines and imports";
    Check::note("clock", found, "run an NTP client, such as systemd-timesyncd or chrony")
}

fn state(dir: &Path) -> Check {
    let shown = dir.display();
    let problem = |found: String, advice: &str| Check::problem("state", found, advice);
    match fs::metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Check::ok("state", format!("{shown} is not there yet; `tattler run` makes it"))
        }
        Err(error) => {
            let advice = "run as its owner, or name another with --state or sensor.state";
            problem(format!("{shown}: {}", reason(&error)), advice)
        }
        Ok(found) if !found.is_dir() => {
            problem(format!("{shown} is no directory"), "name another with --state or sensor.state")
        }
        Ok(found) if found.mode() & 0o022 != 0 => {
            problem(format!("others can write to {shown}"), &format!("run `chmod go-w {shown}`"))
        }
        Ok(found) if found.mode() & 0o055 != 0 => {
            let found = format!("others can look into {shown}, though not into the database");
            Check::note("state", found, format!("run `chmod 700 {shown}`"))
        }
        Ok(_) => Check::ok("state", format!("{shown} is its owner's alone")),
    }
}

fn disk(dir: &Path, bound: u64) -> Check {
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let Some(free) = free_bytes(there) else {
        return Check::note("disk", format!("the room at {} is not known", there.display()), "see `df`");
    };
    let found = format!("{} MiB free at {}", free >> 20, there.display());
    let size = fs::metadata(dir.join("tattler.db")).map_or(0, |file| file.len());
    if free < LITTLE {
        Check::problem("disk", found, "make room, or name another directory with --state or sensor.state")
    } else if free.saturating_add(size) < bound {
        let advice = format!("make room, or set store.max_size_mib below {}", (free + size) >> 20);
        Check::note("disk", format!("{found}, less than store.max_size_mib {}", bound >> 20), advice)
    } else {
        Check::ok("disk", found)
    }
}

fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn socket(path: &Path) -> Check {
    let shown = path.display();
    let is_socket = fs::symlink_metadata(path).map(|file| file.file_type().is_socket());
    match is_socket.and_then(|is_socket| if is_socket { UnixStream::connect(path).map(Some) } else { Ok(None) }) {
        Ok(Some(_)) => Check::ok("socket", format!("a sensor runs and answers at {shown}")),
        Ok(None) => {
            let advice = "remove it, or name another with --socket or sensor.socket";
            Check::problem("socket", format!("{shown} is no socket"), advice)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Check::ok("socket", format!("no sensor runs at {shown}")),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Check::ok("socket", format!("{shown} is left of a dead sensor; `tattler run` replaces it"))
        }
        Err(error) => {
            let advice = "run as root or as a member of the group tattler";
            Check::note("socket", format!("{shown}: {}", reason(&error)), advice)
        }
    }
}

fn listen(address: Option<SocketAddr>) -> Check {
    const ELSEWHERE: &str = "name another with sensor.listen or --listen, or none with ''";
    let Some(address) = address else {
        return Check::ok("listen", "metrics are served nowhere, by the configuration");
    };
    // This accepts no connection, so nobody can take it for a sensor.
    match TcpListener::bind(address) {
        Ok(_) => Check::ok("listen", format!("{address} is free")),
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            Check::problem("listen", format!("{address}: {}", reason(&error)), ELSEWHERE)
        }
        Err(_) if is_sensor(address).unwrap_or(false) => {
            Check::ok("listen", format!("a sensor serves its metrics at {address}"))
        }
        Err(_) => Check::problem("listen", format!("something else listens on {address}"), ELSEWHERE),
    }
}

/// Whether a sensor answers there.
fn is_sensor(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    // Another program could send without end.
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    Ok(answer.ends_with(http::ELSEWHERE.as_bytes()))
}

fn group() -> Check {
    match group_id(GROUP) {
        Some(_) => Check::ok("group", "members of the group tattler may ask the sensor"),
        None => Check::note(
            "group",
            "there is no group tattler, so only the sensor's user can ask it",
            "run `groupadd --system tattler`, add users to it, and restart the sensor",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Level;
    use super::*;

    #[test]
    fn a_state_directory_is_judged_by_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let level = |mode| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            state(dir.path()).level
        };
        assert_eq!([0o700, 0o750, 0o770].map(level), [Level::Ok, Level::Note, Level::Problem]);
        assert_eq!(state(&dir.path().join("none")).level, Level::Ok);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(state(&dir.path().join("file")).level, Level::Problem);
    }

    #[test]
    fn a_limit_beyond_the_room_on_the_disk_is_a_note() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(disk(dir.path(), u64::MAX).level, Level::Note);
        assert_eq!(disk(&dir.path().join("not/there/yet"), 0).level, Level::Ok);
    }

    #[test]
    fn the_listen_address_is_free_or_used_by_a_sensor_or_another() {
        assert_eq!(listen(None).level, Level::Ok);
        let stranger = TcpListener::bind("[::1]:0").unwrap();
        let address = stranger.local_addr().unwrap();
        let other = std::thread::spawn(move || {
            let mut stream = stranger.accept().unwrap().0;
            let _ = stream.read(&mut [0; 1_024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
        });
        let check = listen(Some(address));
        assert_eq!((check.level, check.found), (Level::Problem, format!("something else listens on {address}")));
        other.join().unwrap();
        // No machine has an address of the documentation prefix.
        assert_eq!(listen(Some("[2001:db8::1]:9646".parse().unwrap())).level, Level::Problem);

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(http::bind("[::1]:0".parse().unwrap())).unwrap();
        let address = listener.local_addr().unwrap();
        let none = std::sync::Arc::new(String::new);
        let handlers = http::Handlers { metrics: none, health: std::sync::Arc::new(|| Ok(())) };
        runtime.spawn(http::serve(listener, handlers, std::future::pending()));
        let check = listen(Some(address));
        assert_eq!((check.level, check.found), (Level::Ok, format!("a sensor serves its metrics at {address}")));
        drop(runtime);
        assert_eq!(listen(Some(address)).found, format!("{address} is free"));
    }

    #[test]
    fn the_socket_may_be_missing_used_stale_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert!(socket(&path).found.starts_with("no sensor runs"));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(socket(&path).found.starts_with("a sensor runs"));
        drop(listener);
        assert!(socket(&path).found.contains("left of a dead sensor"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(socket(&path).level, Level::Problem);
    }
}
