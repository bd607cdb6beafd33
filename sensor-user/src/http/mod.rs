//! The HTTP listener on loopback: `/metrics` for Prometheus and `/healthz` for a supervisor.
//!
//! Plain HTTP without authentication; the figures contain no addresses. Each connection carries one request
//! without a body, is closed after the response, and is bounded in bytes and time. The Host header is checked,
//! which prevents DNS rebinding by a web page.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tattler_files::reason;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::accept;

/// The answer at all other paths. The doctor recognizes a sensor by it.
pub(crate) const ELSEWHERE: &str = "there are /metrics and /healthz here\n";
/// The content type of the Prometheus text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The most connections: enough for Prometheus, a supervisor and a few people.
const MOST: u32 = 32;
/// The time limit of a connection: long enough for a scrape over loopback, short enough to end idle ones.
const LIFE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// The longest request, in bytes.
const LONGEST: usize = 16 * 1024;

/// The functions called for requests. They run on a thread where they may wait for a lock.
#[derive(Clone)]
pub struct Handlers {
    /// The page for Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether the sensor works, or a one-line reason why not.
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

/// Answers requests until `shutdown` is done, then finishes requests under way.
pub async fn serve(
    listener: TcpListener,
    handlers: Handlers,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let local_only = listener.local_addr()?.ip().is_loopback();
    accept::serve(listener, MOST, shutdown, |stream| {
        let handlers = handlers.clone();
        async move {
            // A client that is too slow or has closed the connection is no error.
            let _ = timeout(LIFE, converse(stream, handlers, local_only)).await;
        }
    })
    .await;
    Ok(())
}

async fn converse(mut stream: TcpStream, handlers: Handlers, local_only: bool) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, content_type, body) = respond(&head, handlers, local_only).await;
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\n\r\n{}",
        body.len(),
        if head.starts_with("HEAD ") { "" } else { &body }
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads up to the empty line that ends the header.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if head.len() > LONGEST || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Status, content type and body of the response to a request.
async fn respond(head: &str, handlers: Handlers, local_only: bool) -> (&'static str, &'static str, String) {
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.0" | "HTTP/1.1"] = words[..] else {
        return ("400 Bad Request", TEXT, "not a request of HTTP/1\n".to_owned());
    };
    let host = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    if local_only && host.is_some_and(|(_, host)| !is_loopback(host.trim())) {
        // A web page can make a browser send a request to a name that the page's owner points at loopback.
        // The Host header then has that name.
        let body = "this listener answers to localhost, 127.0.0.1 and [::1] only\n";
        return ("403 Forbidden", TEXT, body.to_owned());
    }
    let failed = "the sensor failed to answer; see its log\n";
    match (method, target.split('?').next().unwrap_or_default()) {
        (_, path) if path != "/metrics" && path != "/healthz" => ("404 Not Found", TEXT, ELSEWHERE.to_owned()),
        ("GET" | "HEAD", "/metrics") => match tokio::task::spawn_blocking(move || (handlers.metrics)()).await {
            Ok(page) => ("200 OK", METRICS, page),
            Err(_) => ("500 Internal Server Error", TEXT, failed.to_owned()),
        },
        ("GET" | "HEAD", _) => match tokio::task::spawn_blocking(move || (handlers.health)()).await {
            Ok(Ok(())) => ("200 OK", TEXT, "ok\n".to_owned()),
            Ok(Err(reason)) => ("503 Service Unavailable", TEXT, reason + "\n"),
            Err(_) => ("503 Service Unavailable", TEXT, failed.to_owned()),
        },
        _ => ("405 Method Not Allowed", TEXT, "use GET\n".to_owned()),
    }
}

/// Whether a Host header names this machine's loopback interface.
fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        _ => host,
    };
    let literal = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
