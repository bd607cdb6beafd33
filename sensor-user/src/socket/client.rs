//! The client for commands: blocking and without tokio, so that a query starts without delay.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tattler_files::reason;
use thiserror::Error;

use super::Response;
use crate::contract::Request;

/// The time limit for a request and for its answer: attribution over a full window may take long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time limit for the answer to a deletion, which rewrites a database of up to a gigabyte.
const LONG_PATIENCE: Duration = Duration::from_secs(600);

/// The reason for a missing answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// No sensor listens at the path.
    #[error("cannot reach the sensor at {}: {}; is `tattler run` running? name its socket with --socket, or the directory of one that does not run with --state DIR", path.display(), reason(source))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The user may not use the socket.
    #[error("cannot reach the sensor at {}: permission denied; ask as root or as a member of the group tattler", path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// The sensor closed the connection or does not answer.
    #[error("the sensor at {} did not answer: {}", path.display(), reason(source))]
    Silent {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another program or another version listens at the path.
    #[error("the program that listens at {} does not answer as a sensor of this version: {source}", path.display())]
    Strange {
        /// The socket.
        path: PathBuf,
        /// The error in the answer.
        source: serde_json::Error,
    },
    /// The sensor refused the request.
    #[error("{0}")]
    Refused(String),
}

/// Sends a request to the sensor at `path` and returns its answer.
pub fn ask(path: &Path, request: &Request) -> Result<Value, AskError> {
    let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => AskError::Forbidden { path: path.to_owned() },
        _ => AskError::Unreachable { path: path.to_owned(), source },
    })?;
    let line = exchange(stream, request).map_err(|source| AskError::Silent { path: path.to_owned(), source })?;
    match serde_json::from_slice(&line) {
        Ok(Response::Ok(value)) => Ok(value),
        Ok(Response::Error(line)) => Err(AskError::Refused(line)),
        Err(source) => Err(AskError::Strange { path: path.to_owned(), source }),
    }
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Vec<u8>> {
    let patience = if matches!(request, Request::Forget { .. }) { LONG_PATIENCE } else { PATIENCE };
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} seconds", patience.as_secs()))
        }
        _ => error,
    })?;
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"));
    }
    Ok(answer)
}
