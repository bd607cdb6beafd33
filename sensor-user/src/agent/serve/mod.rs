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
use tokio::task::JoinSet;
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
) -> JoinSet<()> {
    let until_stopped = || {
        let mut stopped = stopped.clone();
        // An error means that the sender was dropped.
        async move { _ = stopped.changed().await }
    };
    let mut servers = JoinSet::new();
    if let Some(listener) = listener {
        let (metrics, health, until) = (shared.clone(), shared.clone(), until_stopped());
        let handlers = http::Handlers {
            metrics: Arc::new(move || scrape::metrics(&metrics)),
            health: Arc::new(move || scrape::health(&health)),
        };
        servers.spawn(async move {
            if let Err(error) = http::serve(listener, handlers, until).await {
                warn!("the HTTP server has stopped: {error}");
            }
        });
    }
    let shared = shared.clone();
    servers.spawn(socket::serve(queries, Arc::new(move |request| answers::answer(&shared, &request)), until_stopped()));
    servers
}
