//! Tests with real sockets in a temporary directory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::*;
use crate::contract::Request;

/// A server with a directory of its own, and with a runtime of its own because the client blocks.
struct Sensor {
    dir: tempfile::TempDir,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Sensor {
    fn start(handler: impl Fn(Request) -> Result<Value, String> + Send + Sync + 'static) -> Sensor {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = {
            let _guard = runtime.enter();
            Listener::bind(&dir.path().join("run/tattler.sock")).unwrap()
        };
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(serve(listener, Arc::new(handler), async { drop(stopped.await) }));
        Sensor { dir, runtime, stop: Some(stop), task: Some(task) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("run/tattler.sock")
    }

    /// Sends the bytes and reads the whole response.
    fn raw(&self, bytes: &[u8]) -> Value {
        let mut stream = UnixStream::connect(self.path()).unwrap();
        // The sensor may close the connection before it has read all bytes.
        let _ = stream.write_all(bytes);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert_eq!(answer.matches('\n').count(), 1, "one line: {answer:?}");
        serde_json::from_str(&answer).unwrap()
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        self.runtime.block_on(self.task.take().unwrap()).unwrap();
    }
}

fn echo(request: Request) -> Result<Value, String> {
    Ok(serde_json::to_value(request).unwrap())
}

fn bind(path: &Path) -> Result<(), SocketBindError> {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    Listener::bind(path).map(drop)
}

#[test]
fn requests_and_responses_are_as_documented() {
    let sensor = Sensor::start(echo);
    for (request, line) in [
        (Request::Status { since: None, until: None }, json!({"query": "status"})),
        (Request::Suspects { top: Some(20), since: None, until: None }, json!({"query": "suspects", "top": 20})),
        (Request::Suspects { top: None, since: None, until: None }, json!({"query": "suspects"})),
        (
            Request::Explain { remote: "2a05::53".into(), since: None, until: None },
            json!({"query": "explain", "remote": "2a05::53"}),
        ),
    ] {
        assert_eq!(ask(&sensor.path(), &request).unwrap(), line);
        assert_eq!(sensor.raw(format!("{line}\n").as_bytes()), json!({"ok": line}));
    }
}

#[test]
fn a_refusal_reaches_the_client_unchanged() {
    let sensor = Sensor::start(|_| Err("2a05::53 never met a local".into()));
    let error =
        ask(&sensor.path(), &Request::Explain { remote: "2a05::53".into(), since: None, until: None }).unwrap_err();
    assert_eq!(error.to_string(), "2a05::53 never met a local");
}

#[test]
fn a_panic_in_the_handler_costs_one_answer() {
    let sensor = Sensor::start(|request| match request {
        Request::Status { .. } => Ok(json!(1)),
        _ => panic!("as a bug would"),
    });
    let error = ask(&sensor.path(), &Request::Explain { remote: String::new(), since: None, until: None }).unwrap_err();
    assert_eq!(error.to_string(), "the sensor failed to answer; see its log");
    assert_eq!(ask(&sensor.path(), &Request::Status { since: None, until: None }).unwrap(), json!(1));
}

#[test]
fn an_invalid_request_is_refused_in_one_line() {
    let sensor = Sensor::start(echo);
    let huge = vec![b'x'; 1 << 20];
    let deep = [b"{\"query\":\"suspects\",\"top\":".to_vec(), vec![b'['; 60_000], b"\n".to_vec()].concat();
    for (bytes, said) in [
        (&b"\n"[..], "not a request"),
        (b"hello\n", "not a request"),
        (b"\x00\xff\xfe\x80\n", "not a request"),
        (b"{\"query\":\"reboot\"}\n", "unknown variant `reboot`"),
        (b"{\"query\":\"suspects\",\"bottom\":1}\n", "unknown field `bottom`"),
        (b"{\"query\":\"status\",\"top\":1}\n", "unknown field `top`"),
        (b"{\"query\":\"suspects\",\"top\":-1}\n", "invalid value"),
        (&deep, "recursion limit"),
        (&huge, "longer than 65536 bytes"),
        (b"{\"query\":\"status\"", "no whole request within"),
    ] {
        let answer = sensor.raw(bytes);
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(said) && !error.contains('\n'), "{said}: {error}");
    }
    assert_eq!(sensor.raw(b"{\"query\":\"status\"}\n{\"query\":\"status\"}\n"), json!({"ok": {"query": "status"}}));
}

#[test]
fn a_request_may_end_without_a_newline() {
    let sensor = Sensor::start(echo);
    let mut stream = UnixStream::connect(sensor.path()).unwrap();
    stream.write_all(b"{\"query\":\"status\"}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "{\"ok\":{\"query\":\"status\"}}\n");
}

#[test]
fn two_clients_are_answered_at_the_same_time() {
    let here = Arc::new(AtomicU32::new(0));
    let sensor = Sensor::start(move |_| {
        // Each request waits until the other request arrives.
        here.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        while here.load(Ordering::SeqCst) < 2 {
            if start.elapsed() > Duration::from_secs(10) {
                return Err("alone".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(json!("together"))
    });
    let path = sensor.path();
    thread::scope(|scope| {
        let clients = [0; 2].map(|_| scope.spawn(|| ask(&path, &Request::Status { since: None, until: None })));
        for client in clients {
            assert_eq!(client.join().unwrap().unwrap(), json!("together"));
        }
    });
}

#[test]
fn idle_clients_do_not_block_others() {
    let sensor = Sensor::start(echo);
    let idle: Vec<_> = (0..2 * server::MOST).map(|_| UnixStream::connect(sensor.path()).unwrap()).collect();
    assert!(ask(&sensor.path(), &Request::Status { since: None, until: None }).is_ok());
    drop(idle);
}

#[test]
fn an_answer_may_be_large() {
    let sensor = Sensor::start(|_| Ok(Value::String("x".repeat(8 << 20))));
    assert_eq!(
        ask(&sensor.path(), &Request::Status { since: None, until: None }).unwrap().as_str().unwrap().len(),
        8 << 20
    );
}

#[test]
fn the_socket_has_its_mode_and_is_removed_at_the_end() {
    let mut sensor = Sensor::start(echo);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sensor.path()), 0o660);
    assert_eq!(mode(sensor.path().parent().unwrap()), 0o750);
    assert_eq!(fs::read_dir(sensor.path().parent().unwrap()).unwrap().count(), 1, "no draft is left");
    sensor.stop();
    assert!(!sensor.path().exists());
}

#[test]
fn a_live_socket_is_refused_and_a_dead_one_is_replaced() {
    let sensor = Sensor::start(echo);
    let line = bind(&sensor.path()).unwrap_err().to_string();
    assert_eq!(
        line,
        format!(
            "a sensor is already running and listens at {}; stop it, or name another socket with --socket",
            sensor.path().display()
        )
    );
    assert!(ask(&sensor.path(), &Request::Status { since: None, until: None }).is_ok(), "the live one goes on");

    let dead = sensor.dir.path().join("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    assert!(dead.exists());
    bind(&dead).unwrap();
}

#[test]
fn an_existing_file_is_reported_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tattler.sock");
    fs::write(&path, "precious").unwrap();
    assert!(bind(&path).unwrap_err().to_string().contains("exists and is no socket"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let line = bind(&path.join("x.sock")).unwrap_err().to_string();
    assert!(line.contains("not a directory") || line.contains("file exists"), "{line}");
    let long = dir.path().join("x".repeat(120));
    let line = bind(&long).unwrap_err().to_string();
    assert!(line.starts_with("cannot listen at ") && !line.contains('\n'), "{line}");
}

#[test]
fn the_error_without_a_sensor_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tattler.sock");
    let said = |path: &Path| ask(path, &Request::Status { since: None, until: None }).unwrap_err().to_string();
    assert_eq!(
        said(&path),
        format!(
            "cannot reach the sensor at {}: no such file or directory; is `tattler run` running? name its socket with \
             --socket, or the directory of one that does not run with --state DIR",
            path.display()
        )
    );
    let listener = UnixListener::bind(&path).unwrap();
    let strange = thread::spawn(move || {
        for answer in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
        }
    });
    assert!(said(&path).ends_with("did not answer: it hung up"));
    assert!(said(&path).contains("does not answer as a sensor of this version"));
    strange.join().unwrap();
    assert!(said(&path).contains("connection refused; is `tattler run` running?"));
}
