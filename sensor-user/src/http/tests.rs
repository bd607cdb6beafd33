//! Tests with real connections.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;

/// Starts a listener. Dropping the returned sender stops the listener.
async fn start(handlers: Handlers) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(listener, handlers, async { drop(stopped.await) }));
    (address, stop, server)
}

fn healthy() -> Handlers {
    Handlers { metrics: Arc::new(|| "tattler_x 1\n".into()), health: Arc::new(|| Ok(())) }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
}

fn is(answer: &str, status: u16, body: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(&format!("\r\n\r\n{body}"))
}

#[tokio::test]
async fn only_metrics_and_health_are_found() {
    let (address, stop, server) = start(healthy()).await;
    let metrics = get(address, "/metrics").await;
    assert!(is(&metrics, 200, "tattler_x 1\n"), "{metrics}");
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    let health = get(address, "/healthz").await;
    assert!(is(&health, 200, "ok\n"), "{health}");
    let other = get(address, "/../etc/passwd").await;
    assert!(is(&other, 404, "there are /metrics and /healthz here\n"), "{other}");
    let post = ask(address, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    drop(stop);
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn a_failing_sensor_gives_the_reason_in_one_line() {
    let sick = Handlers {
        metrics: Arc::new(|| panic!("as a bug would")),
        health: Arc::new(|| Err("no event for an hour".into())),
    };
    let (address, _stop, _server) = start(sick).await;
    let health = get(address, "/healthz").await;
    assert!(is(&health, 503, "no event for an hour\n"), "{health}");
    let metrics = get(address, "/metrics").await;
    assert!(is(&metrics, 500, "the sensor failed to answer; see its log\n"), "{metrics}");
}

#[tokio::test]
async fn a_foreign_name_for_loopback_is_refused() {
    let (address, _stop, _server) = start(healthy()).await;
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:9646", 200),
        ("[::1]:9646", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:1", 200),
        ("evil.example:9646", 403),
        ("localhost.evil.example", 403),
        ("[2001:db8::1]:9646", 403),
        ("192.0.2.1", 403),
        ("", 403),
    ] {
        let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
    let without = ask(address, "GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(without.starts_with("HTTP/1.0 200 "), "{without}");
}

#[tokio::test]
async fn the_error_for_an_address_in_use_says_what_to_do() {
    let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = first.local_addr().unwrap();
    assert_eq!(
        bind(address).await.unwrap_err().to_string(),
        format!(
            "cannot listen on {address}: address already in use; name another address with --listen, or none with --listen ''"
        )
    );
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let (address, _stop, _server) = start(healthy()).await;
    let begun = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").await.unwrap();
        idle.push(stream);
    }
    let answer = get(address, "/healthz").await;
    assert!(is(&answer, 200, "ok\n"), "{answer}");
    let waited = begun.elapsed();
    assert!(waited > connections::LIFE / 2 && waited < connections::LIFE * 2 + Duration::from_secs(5), "{waited:?}");
}
