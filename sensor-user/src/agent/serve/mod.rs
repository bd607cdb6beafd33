//! The query socket and HTTP.
//!
//! - [`answers`]: answers to queries; [`status`]: the one to `status`
//! - [`edits`]: changes of the diary that users ask for
//! - [`scrape`]: the pages of HTTP

mod answers;
pub mod edits;
mod scrape;
mod status;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::state::Shared;
use crate::{http, socket};

#[cfg(test)]
pub use answers::answer;
pub use status::SensorStatus;

/// Starts the servers; they stop when the other end of `stopped` is dropped.
pub fn start(
    shared: &Arc<Shared>,
    listener: Option<TcpListener>,
    queries: socket::Listener,
    stopped: &watch::Receiver<()>,
) -> Vec<JoinHandle<()>> {
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender was dropped, which is the sign to stop.
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
                warn!("the HTTP server has stopped: {error}");
            }
        }));
    }
    let shared = shared.clone();
    let until = until_stopped();
    servers.push(tokio::spawn(async move {
        socket::serve(queries, Arc::new(move |request| answers::answer(&shared, &request)), until).await;
    }));
    servers
}
