//! The server in the sensor, bounded in connections, bytes and time.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Listener, Response};
use crate::accept::{self, Accept};
use crate::contract::Request;

/// Answers a request; an error is one line. Runs on a thread where it may block.
pub type Handler = Arc<dyn Fn(Request) -> Result<Value, String> + Send + Sync>;

/// The most requests at a time; further ones wait in the kernel's backlog.
pub(super) const MOST: u32 = 16;
/// The longest request, in bytes.
pub(super) const LONGEST: u64 = 64 * 1024;
/// The time limit for a request to arrive.
const ASKING: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
/// The time limit for a response to be read.
const TAKING: Duration = Duration::from_secs(30);

impl Accept for Listener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

/// Answers requests until `shutdown` is done, then removes the socket.
pub async fn serve(listener: Listener, handler: Handler, shutdown: impl Future<Output = ()> + Send) {
    accept::serve(listener, MOST, shutdown, |stream| {
        let handler = Arc::clone(&handler);
        async move {
            // A client that has closed the connection is no error.
            let _ = converse(stream, handler).await;
        }
    })
    .await;
}

async fn converse(mut stream: UnixStream, handler: Handler) -> io::Result<()> {
    let response = match timeout(ASKING, question(&mut stream)).await {
        Ok(Ok(request)) if request.is_for_the_owner() && !is_owner(&stream) => {
            Response::Error("only root and the user that the sensor runs as may ask it to forget".into())
        }
        Ok(Ok(request)) => answer(request, handler).await,
        Ok(Err(refusal)) => Response::Error(refusal),
        Err(_) => Response::Error(format!("no whole request within {} seconds", ASKING.as_secs())),
    };
    let mut line = serde_json::to_vec(&response)?;
    line.push(b'\n');
    timeout(TAKING, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    })
    .await?
}

fn is_owner(stream: &UnixStream) -> bool {
    // SAFETY: geteuid takes no arguments and always succeeds.
    let own = unsafe { libc::geteuid() };
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

/// Reads a request; an error is one line.
async fn question(stream: &mut UnixStream) -> Result<Request, String> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(LONGEST + 1));
    reader.read_until(b'\n', &mut line).await.map_err(|error| format!("cannot read the request: {error}"))?;
    if line.len() as u64 > LONGEST {
        return Err(format!("the request is longer than {LONGEST} bytes"));
    }
    serde_json::from_slice(&line).map_err(|error| format!("not a request that this sensor knows: {error}"))
}

async fn answer(request: Request, handler: Handler) -> Response {
    match tokio::task::spawn_blocking(move || handler(request)).await {
        Ok(Ok(value)) => Response::Ok(value),
        Ok(Err(reason)) => Response::Error(reason),
        Err(_) => Response::Error("the sensor failed to answer; see its log".into()),
    }
}
