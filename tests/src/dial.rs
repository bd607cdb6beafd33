//! TCP connections from an address and a port of choice, and datagrams with a hop limit.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::namespace::Namespace;

/// Connects; port 0 to come from any.
///
/// # Errors
/// The kernel's error, such as a refused connection.
pub fn dial(namespace: &Namespace, from: (Ipv6Addr, u16), to: (Ipv6Addr, u16)) -> io::Result<TcpStream> {
    namespace.inside(|| {
        // SAFETY: socket takes numbers and returns a new descriptor or -1, which is checked.
        let socket = unsafe { libc::socket(libc::AF_INET6, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and no other code owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // Three SYNs, seven seconds, instead of the default of minutes.
        option(&socket, libc::IPPROTO_TCP, libc::TCP_SYNCNT, 2)?;
        option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        let (from, to) = (address(from), address(to));
        let length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
        // SAFETY: both calls read an address that is alive, within its length.
        let done = unsafe {
            match libc::bind(socket.as_raw_fd(), (&raw const from).cast(), length) {
                0 => libc::connect(socket.as_raw_fd(), (&raw const to).cast(), length),
                failed => failed,
            }
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(TcpStream::from(socket))
    })
}

/// Sets how many hops a socket's datagrams may take.
#[track_caller]
pub fn hops(socket: &UdpSocket, hops: i32) {
    option(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, hops).expect("set the hop limit");
}

fn option(socket: &impl AsRawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: reads an integer that is alive, within its length.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn address((address, port): (Ipv6Addr, u16)) -> libc::sockaddr_in6 {
    let address = SocketAddrV6::new(address, port, 0, 0);
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as u16,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
        sin6_scope_id: 0,
    }
}
