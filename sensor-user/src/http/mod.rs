//! The listener on loopback: `/metrics` and `/healthz`, for Prometheus and for a supervisor.
//!
//! Plain HTTP, no authentication, nothing but figures without addresses. What a browser could be
//! tricked into asking for is refused by its Host header.
//!
//! # Layout
//! - [`connections`]: how many there are and how long each may live
//! - this file: what is answered

mod connections;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use connections::Connections;
use tattler_files::reason;
use thiserror::Error;
use tokio::net::TcpListener;

/// What is answered at all other paths; the doctor knows a sensor by it.
pub(crate) const ELSEWHERE: &str = "there are /metrics and /healthz here\n";

/// What is asked at each request. Both run on a thread where they may wait for a lock.
#[derive(Clone)]
pub struct Handlers {
    /// The page for Prometheus, or one line that says why there is none.
    pub metrics: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
    /// Whether the sensor does its work, or one line that says why not.
    pub health: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// Why there is no listener.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {}; name another address with --listen, or none with --listen ''", reason(source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Opens the listener.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Answers until `shutdown` is done, and then ends what is being answered.
pub async fn serve(
    listener: TcpListener,
    handlers: Handlers,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let local_only = listener.local_addr()?.ip().is_loopback();
    let (metrics, health) = (handlers.metrics, handlers.health);
    let mut router = Router::new()
        .route("/metrics", get(move || page(metrics)))
        .route("/healthz", get(move || verdict(health)))
        .fallback(|| async { (StatusCode::NOT_FOUND, ELSEWHERE) });
    if local_only {
        router = router.layer(middleware::from_fn(refuse_other_names));
    }
    let router = router.layer(middleware::map_response(plain));
    axum::serve(Connections::new(listener), router).with_graceful_shutdown(shutdown).await
}

async fn page(metrics: Arc<dyn Fn() -> Result<String, String> + Send + Sync>) -> Response {
    match blocking(move || metrics()).await {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason + "\n").into_response(),
    }
}

async fn verdict(health: Arc<dyn Fn() -> Result<(), String> + Send + Sync>) -> Response {
    match blocking(move || health()).await {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
    }
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|_| Err("the sensor failed to answer; see its log".into()))
}

/// A page of a stranger's site can make a browser ask a name of the stranger's that leads to
/// loopback; the browser then says that name.
async fn refuse_other_names(request: Request, next: Next) -> Response {
    match request.headers().get(HOST) {
        Some(host) if !is_loopback(host) => {
            (StatusCode::FORBIDDEN, "this listener answers to localhost, 127.0.0.1 and [::1] only\n").into_response()
        }
        _ => next.run(request).await,
    }
}

fn is_loopback(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        _ => host,
    };
    let literal = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// One request for each connection: so the life of a connection can be short, and one that does
/// nothing is soon gone.
async fn plain(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
