//! The server in the sensor, with limits on connections, bytes and time.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{Listener, Response};
use crate::contract::Request;

/// A function that answers a request; an error is one line. The function runs on a thread where it may block.
pub type Handler = Arc<dyn Fn(Request) -> Result<Value, String> + Send + Sync>;

/// Maximum number of requests at a time; further connections wait in the kernel's backlog.
pub(super) const MOST: u32 = 16;
/// Maximum length of a request, in bytes.
pub(super) const LONGEST: u64 = 64 * 1024;
/// The time limit for a request to arrive.
const ASKING: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
/// The time limit for a response to be read.
const TAKING: Duration = Duration::from_secs(30);
/// The time limit for unfinished responses when the sensor stops.
const ENDING: Duration = Duration::from_secs(2);

/// Answers requests until `shutdown` is done, then removes the socket.
pub async fn serve(listener: Listener, handler: Handler, shutdown: impl Future<Output = ()> + Send) {
    let permits = Arc::new(Semaphore::new(MOST as usize));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (listener.listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let handler = Arc::clone(&handler);
                tokio::spawn(async move {
                    // The client may close the connection at any time.
                    let _ = converse(stream, handler).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Most likely the process is out of file descriptors. Retry later.
                tracing::warn!("cannot accept a query: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(ENDING, permits.acquire_many(MOST)).await; // Longer responses are aborted.
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

/// Reads a request. The text of an error is one line.
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
