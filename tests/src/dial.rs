//! TCP connections from a chosen address and port, and datagrams with a hop limit.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::namespace::Namespace;

/// Connects within seven seconds, in which the kernel sends three SYNs. Port 0 for any.
pub fn dial(namespace: &Namespace, from: (Ipv6Addr, u16), to: (Ipv6Addr, u16)) -> io::Result<TcpStream> {
    namespace.inside(|| {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from(from).into())?;
        socket.connect_timeout(&SocketAddr::from(to).into(), Duration::from_secs(7))?;
        Ok(socket.into())
    })
}

/// Sets the hop limit of a socket's datagrams.
#[track_caller]
pub fn hops(socket: &UdpSocket, hops: u32) {
    SockRef::from(socket).set_unicast_hops_v6(hops).expect("set the hop limit");
}
