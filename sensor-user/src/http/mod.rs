//! The HTTP listener on loopback: `/metrics` for Prometheus and `/healthz` for a supervisor.
//!
//! Plain HTTP without authentication: the metrics contain no addresses. The Host header is checked, which
//! prevents DNS rebinding by a web page.
//!
//! # Layout
//! - `connections`: bounds on the number and duration of connections
//! - this file: the answers

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

/// The answer at all other paths. `tattler doctor` recognizes a sensor by this answer.
pub(crate) const ELSEWHERE: &str = "there are /metrics and /healthz here\n";

/// The functions that answer requests. The functions run on a thread where they may wait for a lock.
#[derive(Clone)]
pub struct Handlers {
    /// Returns the page for Prometheus, or a one-line reason why the page is missing.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Returns `Ok` if the sensor works, or a one-line reason why it does not.
    pub health: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The address can't be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {}; name another address with --listen, or none with --listen ''", reason(source))]
pub struct HttpBindError {
    address: SocketAddr,
    source: io::Error,
}

/// Opens the listener.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpBindError> {
    TcpListener::bind(address).await.map_err(|source| HttpBindError { address, source })
}

/// Answers requests until `shutdown` is done, then finishes the requests in progress.
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

async fn page(metrics: Arc<dyn Fn() -> String + Send + Sync>) -> Response {
    match blocking(move || Ok(metrics())).await {
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

/// Refuses requests for other host names. A web page can make a browser send a request to a name that the
/// page's owner resolves to loopback. The Host header then has that name.
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

/// Closes the connection after one request, so that the limit on a connection's duration can be short.
async fn plain(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
