//! What others may ask: the query socket and HTTP.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::shared::Shared;
use super::{queries, scrape};
use crate::{http, socket};

/// Starts the servers; they stop when the other end of `stopped` is dropped.
pub(super) fn start(
    shared: &Arc<Shared>,
    listener: Option<TcpListener>,
    queries: socket::Listener,
    stopped: &watch::Receiver<()>,
) -> Vec<JoinHandle<()>> {
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender is gone, which is the sign.
            let _ = stopped.changed().await;
        }
    };
    let mut servers = Vec::new();
    if let Some(listener) = listener {
        let shared = shared.clone();
        let until = until_stopped();
        servers.push(tokio::spawn(async move {
            let healthy = shared.clone();
            let handlers = http::Handlers {
                metrics: Arc::new(move || scrape::metrics(&shared)),
                health: Arc::new(move || scrape::health(&healthy)),
            };
            if let Err(error) = http::serve(listener, handlers, until).await {
                warn!("HTTP ended: {error}");
            }
        }));
    }
    let shared = shared.clone();
    let until = until_stopped();
    servers.push(tokio::spawn(async move {
        socket::serve(queries, Arc::new(move |request| queries::answer(&shared, &request)), until).await;
    }));
    servers
}
