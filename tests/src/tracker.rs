//! A tracker of torrents over HTTP. It gives each peer the addresses of the others.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use crate::namespace::Namespace;
use crate::traffic::listen;

/// A peer's address and port.
pub type Peer = (Ipv6Addr, u16);

#[derive(Default)]
struct State {
    peers: Mutex<Vec<Peer>>,
    closed: AtomicBool,
    stop: AtomicBool,
}

/// A tracker with one torrent, whichever is requested.
pub struct Tracker {
    state: Arc<State>,
    serving: Option<JoinHandle<()>>,
}

impl Tracker {
    /// Serves announcements until it is dropped.
    pub fn serve(namespace: &Namespace, address: Ipv6Addr, port: u16) -> Tracker {
        let listener = listen(namespace, address, port);
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let state = Arc::new(State::default());
        let shared = state.clone();
        let serving = thread::spawn(move || serve(&listener, &shared));
        Tracker { state, serving: Some(serving) }
    }

    /// The peers that announced themselves and have not left.
    pub fn peers(&self) -> Vec<Peer> {
        self.state.peers.lock().unwrap().clone()
    }

    /// Adds no more peers to the list. New peers get the peers on it.
    pub fn close_list(&self) {
        self.state.closed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        let _ = self.serving.take().map(JoinHandle::join);
    }
}

fn serve(listener: &TcpListener, state: &State) {
    while !state.stop.load(Ordering::Relaxed) {
        #[expect(clippy::disallowed_methods, reason = "the listener does not wait")]
        let accepted = listener.accept();
        match accepted {
            // A client that hangs up early needs no answer.
            Ok((stream, _)) => drop(answer(stream, state)),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

/// Answers one announcement: BEP 3, and BEP 7 for IPv6. A scrape (BEP 48) gets an empty answer.
fn answer(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    // Reads the whole request: closing a connection with unread data loses the answer.
    let lines = BufReader::new(&stream).lines().take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
    let request = lines.collect::<io::Result<Vec<_>>>()?.into_iter().next().unwrap_or_default();
    let parameter = |name: &str| {
        let query = request.split([' ', '?']).nth(2).unwrap_or_default();
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let IpAddr::V6(address) = stream.peer_addr()?.ip() else { return Ok(()) };
    let Some(port) = parameter("port").and_then(|port| port.parse().ok()) else {
        return reply(&mut stream, b"d5:filesdee");
    };
    let mut known = state.peers.lock().unwrap();
    let was_known = known.contains(&(address, port));
    known.retain(|peer| *peer != (address, port));
    let others: Vec<u8> =
        known.iter().flat_map(|(address, port)| [&address.octets()[..], &port.to_be_bytes()].concat()).collect();
    let is_welcome = was_known || !state.closed.load(Ordering::Relaxed);
    if is_welcome && parameter("event").as_deref() != Some("stopped") {
        known.push((address, port));
    }
    let head = format!("d8:intervali1800e5:peers0:6:peers6{}:", others.len());
    reply(&mut stream, &[head.as_bytes(), &others, b"e"].concat())
}

fn reply(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())
}
