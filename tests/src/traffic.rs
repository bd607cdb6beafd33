//! Clients, servers and raw frames.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket, Type};

use crate::eventually;
use crate::namespace::Namespace;
use crate::programs::{Bounded, succeed};
use crate::world::World;

/// The longest wait for a packet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pings once and waits for the answer.
#[track_caller]
pub fn ping(namespace: &Namespace, from: Ipv6Addr, to: Ipv6Addr) {
    let (from, to) = (from.to_string(), to.to_string());
    succeed(&mut namespace.tool("ping", &["-6", "-n", "-c", "1", "-W", "5", "-I", &from, &to]));
}

/// Pings an address once. It must not answer.
pub fn ping_nobody(namespace: &Namespace, from: Ipv6Addr, to: Ipv6Addr) {
    let (from, to) = (from.to_string(), to.to_string());
    let pinged = namespace.tool("ping", &["-6", "-n", "-c", "1", "-W", "0.1", "-I", &from, &to]).finish();
    assert!(!pinged.expect("run ping").status.success(), "{to} answers");
}

/// Scans with nmap, from `device`.
#[track_caller]
pub fn nmap(namespace: &Namespace, device: &str, from: Ipv6Addr, to: Ipv6Addr, what: &[&str]) -> String {
    let (from, to) = (from.to_string(), to.to_string());
    let mut arguments = vec!["-6", "-n", "-Pn", "--max-retries", "1", "-e", device, "-S", &from];
    arguments.extend(what);
    arguments.push(&to);
    succeed(&mut namespace.tool("nmap", &arguments))
}

/// Visits a new web site with curl, once.
#[track_caller]
pub fn visit(world: &World, site: Ipv6Addr, port: u16) {
    let serving = web_site(&world.internet, site, port);
    assert_eq!(curl(&world.host, site, port), "hello");
    serving.join().unwrap();
}

/// Gets a page with curl.
#[track_caller]
pub fn curl(namespace: &Namespace, to: Ipv6Addr, port: u16) -> String {
    let url = format!("http://[{to}]:{port}/");
    succeed(&mut namespace.tool("curl", &["--silent", "--show-error", "--max-time", "5", "--globoff", &url]))
}

/// A web site that answers one visit with `hello`.
pub fn web_site(namespace: &Namespace, address: Ipv6Addr, port: u16) -> JoinHandle<()> {
    let listener = listen(namespace, address, port);
    thread::spawn(move || {
        let mut stream = accept(&listener);
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).expect("a request");
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").expect("an answer");
    })
}

/// Listens at a TCP port.
#[track_caller]
pub fn listen(namespace: &Namespace, address: Ipv6Addr, port: u16) -> TcpListener {
    namespace.inside(|| TcpListener::bind((address, port))).unwrap_or_else(|e| panic!("[{address}]:{port}: {e}"))
}

/// The next connection. Its reads have a time limit.
#[track_caller]
pub fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("a listener that does not wait");
    #[expect(clippy::disallowed_methods, reason = "it does not wait")]
    let (stream, _) = eventually("a connection", || listener.accept().ok());
    stream.set_read_timeout(Some(PATIENCE)).expect("limit reads");
    stream
}

/// A UDP socket; port 0 for any.
#[track_caller]
pub fn udp(namespace: &Namespace, address: Ipv6Addr, port: u16) -> UdpSocket {
    let bind = || {
        let socket = UdpSocket::bind((address, port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        io::Result::Ok(socket)
    };
    namespace.inside(bind).unwrap_or_else(|error| panic!("[{address}]:{port}: {error}"))
}

/// Sends a datagram and checks that it arrives.
#[track_caller]
pub fn say(from: &UdpSocket, to: &UdpSocket) {
    let target = to.local_addr().expect("an address");
    from.send_to(b"a datagram", target).unwrap_or_else(|error| panic!("send to {target}: {error}"));
    let mut datagram = [0; 64];
    let (length, source) = to.recv_from(&mut datagram).unwrap_or_else(|error| panic!("at {target}: {error}"));
    assert_eq!((&datagram[..length], source), (&b"a datagram"[..], from.local_addr().expect("an address")));
}

/// A packet socket on a device: whole frames, in and out.
pub struct Wire(Socket);

impl Wire {
    /// Opens it. It does not receive the frames that this side sends.
    pub fn open(namespace: &Namespace, device: &str) -> Wire {
        let index = namespace.index(device);
        Wire(namespace.inside(|| {
            let every = (libc::ETH_P_ALL as u16).to_be();
            let socket = Socket::new(libc::AF_PACKET.into(), Type::RAW, Some(i32::from(every).into()));
            let socket = socket.expect("open a packet socket, as root");
            let on: i32 = 1;
            // SAFETY: the kernel reads an integer that is alive, within its length.
            let set = unsafe {
                let (option, length) = (libc::PACKET_IGNORE_OUTGOING, size_of_val(&on) as libc::socklen_t);
                libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, (&raw const on).cast(), length)
            };
            assert_eq!(set, 0, "ignore outgoing frames: {}", io::Error::last_os_error());
            // SAFETY: a sockaddr_ll is plain integers, for which zeros are valid, and fits into the storage.
            let address = unsafe {
                SockAddr::try_init(|storage, length| {
                    let address = &mut *storage.cast::<libc::sockaddr_ll>();
                    address.sll_family = libc::AF_PACKET as u16;
                    address.sll_protocol = every;
                    address.sll_ifindex = index;
                    *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
                    Ok(())
                })
            };
            socket.bind(&address.expect("an address").1).expect("bind a packet socket");
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("limit reads");
            socket
        }))
    }

    /// Sends a frame as it is. It is sent again if the queue of the other end was full.
    pub fn send(&self, frame: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.0.send(frame) {
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                sent => return assert_eq!(sent.expect("send a frame"), frame.len()),
            }
        }
    }

    /// The next `count` frames, or of `station` alone.
    #[track_caller]
    pub fn receive(&self, station: Option<[u8; 6]>, count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::with_capacity(count);
        let deadline = Instant::now() + PATIENCE;
        while frames.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} frames came", frames.len());
            frames.extend(self.next(station));
        }
        frames
    }

    /// The next frame. None if no frame comes within 20 ms, or not from `station`.
    pub fn next(&self, station: Option<[u8; 6]>) -> Option<Vec<u8>> {
        let mut frame = vec![0; 1 << 16];
        let length = (&self.0).read(&mut frame).ok()?;
        frame.truncate(length);
        station.is_none_or(|station| frame.get(6..12) == Some(&station[..])).then_some(frame)
    }
}
