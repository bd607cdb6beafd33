//! One netlink request and its answer. Blocking.

use std::io;

use netlink_sys::{Socket, SocketAddr};

/// linux/netlink.h
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
pub(super) const NLA_F_NESTED: u16 = 1 << 15;
/// The length, type, flags, sequence and port of a message.
const HEADER: usize = 16;

/// Sends one request of a type to a part of the kernel. Returns what the answer holds behind its header.
pub(super) fn ask(protocol: isize, kind: u16, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = Vec::with_capacity(HEADER + payload.len());
    request.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // Sequence and port: one question on a socket of its own.
    request.extend(payload);
    socket.send(&request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    if kind == Some(NLMSG_ERROR) {
        let code = answer.get(16..20).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
    }
    answer.get(HEADER..).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The attributes in order; ends where one does not fit.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & !NLA_F_NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(found, _)| found == kind).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written_and_damaged_ones_end_it() {
        let mut bytes = attribute(1, b"abc");
        bytes.extend(attribute(7 | NLA_F_NESTED, &attribute(2, &[9])));
        assert_eq!(find(&bytes, 1), Some(&b"abc"[..]));
        assert_eq!(find(find(&bytes, 7).unwrap(), 2), Some(&[9][..]));
        for cut in 0..bytes.len() {
            let _ = attributes(&bytes[..cut]).count();
        }
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0]).count(), 0, "a length below that of its own header");
    }
}
