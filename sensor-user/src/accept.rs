//! Accepts connections, bounded in number, until a shutdown.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// The time limit for answers under way at the shutdown.
const ENDING: Duration = Duration::from_secs(2);

/// A listener for connections of one type.
pub(crate) trait Accept {
    /// A connection.
    type Stream: Send + 'static;

    /// Waits for the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Ok(TcpListener::accept(self).await?.0)
    }
}

/// Runs `answer` on each connection, at most `most` at a time. Further ones wait in the kernel's backlog.
/// After `shutdown` drops the listener and waits for answers under way, for a bounded time.
pub(crate) async fn serve<L: Accept, F: Future<Output = ()> + Send + 'static>(
    listener: L,
    most: u32,
    shutdown: impl Future<Output = ()>,
    answer: impl Fn(L::Stream) -> F,
) {
    let permits = Arc::new(Semaphore::new(most as usize));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok(stream) => {
                let answer = answer(stream);
                tokio::spawn(async move {
                    answer.await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Most likely out of file descriptors. Retry later.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(ENDING, permits.acquire_many(most)).await; // Longer ones are aborted.
}
