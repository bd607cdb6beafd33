//! Clients, servers and raw frames.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::eventually;
use crate::namespace::Namespace;
use crate::programs::{Bounded, succeed};

/// The longest wait for a packet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pings once and waits for the answer.
#[track_caller]
pub fn ping(namespace: &Namespace, from: Ipv6Addr, to: Ipv6Addr) {
    let (from, to) = (from.to_string(), to.to_string());
    succeed(&mut namespace.tool("ping", &["-6", "-n", "-c", "1", "-W", "5", "-I", &from, &to]));
}

/// Pings once an address that must not answer.
pub fn ping_nobody(namespace: &Namespace, from: Ipv6Addr, to: Ipv6Addr) {
    let (from, to) = (from.to_string(), to.to_string());
    let pinged = namespace.tool("ping", &["-6", "-n", "-c", "1", "-W", "0.1", "-I", &from, &to]).finish();
    assert!(!pinged.expect("run ping").status.success(), "somebody answers at {to}");
}

/// Scans as nmap does, from `device`.
#[track_caller]
pub fn nmap(namespace: &Namespace, device: &str, from: Ipv6Addr, to: Ipv6Addr, what: &[&str]) -> String {
    let (from, to) = (from.to_string(), to.to_string());
    let mut arguments = vec!["-6", "-n", "-Pn", "--max-retries", "1", "-e", device, "-S", &from];
    arguments.extend(what);
    arguments.push(&to);
    succeed(&mut namespace.tool("nmap", &arguments))
}

/// Visits a web site as curl does.
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
#[must_use]
pub fn listen(namespace: &Namespace, address: Ipv6Addr, port: u16) -> TcpListener {
    namespace.inside(|| TcpListener::bind((address, port))).unwrap_or_else(|e| panic!("[{address}]:{port}: {e}"))
}

/// The next connection, whose reads end as well.
#[track_caller]
#[must_use]
pub fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("a listener that does not wait");
    #[expect(clippy::disallowed_methods, reason = "it does not wait")]
    let (stream, _) = eventually("a connection", || listener.accept().ok());
    stream.set_read_timeout(Some(PATIENCE)).expect("limit reads");
    stream
}

/// A UDP socket; port 0 for any.
#[track_caller]
#[must_use]
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
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
}

impl Wire {
    /// Opens it.
    #[must_use]
    pub fn open(namespace: &Namespace, device: &str) -> Wire {
        let device = format!("{device}\0");
        let open = || {
            let every = (libc::ETH_P_ALL as u16).to_be();
            // SAFETY: socket takes numbers and returns a new descriptor or -1, which is checked.
            let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, every.into()) };
            assert!(socket >= 0, "open a packet socket, as root: {}", io::Error::last_os_error());
            // SAFETY: the descriptor is new, and no other code owns it.
            let socket = unsafe { OwnedFd::from_raw_fd(socket) };
            // SAFETY: `device` ends in a zero byte; sockaddr_ll is plain integers, for which zeros do.
            let (index, mut address) =
                unsafe { (libc::if_nametoindex(device.as_ptr().cast()), std::mem::zeroed::<libc::sockaddr_ll>()) };
            assert_ne!(index, 0, "no device {device}");
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = every;
            address.sll_ifindex = index as i32;
            let patience = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
            // SAFETY: both calls read a structure that is alive, with its true length.
            let done = unsafe {
                libc::bind(
                    socket.as_raw_fd(),
                    (&raw const address).cast(),
                    size_of::<libc::sockaddr_ll>() as libc::socklen_t,
                ) | libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_RCVTIMEO,
                    (&raw const patience).cast(),
                    size_of::<libc::timeval>() as libc::socklen_t,
                )
            };
            assert_eq!(done, 0, "bind a packet socket: {}", io::Error::last_os_error());
            socket
        };
        Wire { socket: namespace.inside(open) }
    }

    /// Sends a frame as it is. It is sent again if the queue of the other end was full.
    pub fn send(&self, frame: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // SAFETY: reads the frame within its length.
            let sent = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
            let error = io::Error::last_os_error();
            if sent < 0 && error.raw_os_error() == Some(libc::ENOBUFS) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            return assert_eq!(sent, frame.len() as isize, "send a frame: {error}");
        }
    }

    /// The next `count` frames from outside that come from this station.
    #[track_caller]
    #[must_use]
    pub fn receive(&self, station: [u8; 6], count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while frames.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} frames came", frames.len());
            frames.extend(self.next_from(station));
        }
        frames
    }

    /// The next `count` frames from outside, from any sender.
    #[track_caller]
    #[must_use]
    pub fn arrivals(&self, count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::with_capacity(count);
        let deadline = Instant::now() + PATIENCE;
        while frames.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} frames came", frames.len());
            frames.extend(self.next());
        }
        frames
    }

    /// The next frame, unless it comes from elsewhere or not within 20 ms.
    #[must_use]
    pub fn next_from(&self, station: [u8; 6]) -> Option<Vec<u8>> {
        self.next().filter(|frame| frame.get(6..12) == Some(&station[..]))
    }

    /// The next frame that this side did not send, unless none comes within 20 ms.
    fn next(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 1 << 16];
        // SAFETY: sockaddr_ll is plain integers, for which zeros do.
        let mut from = unsafe { std::mem::zeroed::<libc::sockaddr_ll>() };
        let mut from_length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: writes to buffers that are alive, within the lengths that are given.
        let length = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                0,
                (&raw mut from).cast(),
                &raw mut from_length,
            )
        };
        frame.truncate(usize::try_from(length).ok()?);
        let outgoing = from.sll_pkttype == libc::PACKET_OUTGOING;
        (!outgoing).then_some(frame)
    }
}
