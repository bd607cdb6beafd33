//! Parses a frame, and records the layers that the parser passed.

use std::cell::RefCell;
use std::net::Ipv6Addr;

use sensor_common::walk::MAX_EXTENSIONS;
use sensor_common::{GiveUp, Header, Layer, Link, Packet, link};

use super::{CapturedFrame, Framing};

/// The most link layers: Ethernet, two VLAN tags, PPPoE, PPP and IPv4.
const MOST_LINKS: usize = 6;

/// A parsed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The packet, or the reason why the parser gave up.
    pub parsed: Result<Header, GiveUp>,
    /// The layers that the parser passed.
    pub trace: Trace,
}

/// The layers that the parser passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    links: [&'static str; MOST_LINKS],
    link_count: usize,
    extensions: [u8; MAX_EXTENSIONS],
    extension_count: usize,
    ip: Option<usize>,
    /// Whether the link layer announces IPv6.
    announced: bool,
    /// The innermost IPv6 header that the parser read.
    pub header: Option<Ipv6>,
}

/// The printed fields of an IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
}

impl Traced {
    /// Parses `frame`.
    #[must_use]
    pub fn new(frame: &CapturedFrame<'_>) -> Traced {
        let Some(framing) = frame.link_type.framing() else {
            return Traced { parsed: Err(GiveUp::UnknownLink), trace: Trace::default() };
        };
        let (bytes, link, name) = match framing.strip(frame.bytes) {
            Ok(stripped) => stripped,
            Err(reason) => {
                let mut trace = Trace::default();
                if framing == Framing::Ipv6 {
                    trace.announced = true;
                    trace.enter(Layer::Link("raw"));
                }
                return Traced { parsed: Err(reason), trace };
            }
        };
        let (parsed, mut trace) = parse(bytes, link);
        if let (Some(name), Some(first)) = (name, trace.links.first_mut()) {
            *first = name;
        }
        Traced { parsed, trace }
    }

    /// Whether the frame holds an IPv6 packet. `false` if the frame ends before the link layer announces IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        let may_be_other = matches!(self.parsed, Err(GiveUp::NotIpv6 | GiveUp::UnknownLink | GiveUp::Truncated));
        !may_be_other || self.trace.announced
    }
}

impl Trace {
    /// The names of the link layers, such as `eth/vlan`.
    #[must_use]
    pub fn link(&self) -> String {
        self.links[..self.link_count].join("/")
    }

    /// The numbers of the extension headers, in order.
    #[must_use]
    pub fn extensions(&self) -> &[u8] {
        &self.extensions[..self.extension_count]
    }

    fn enter(&mut self, layer: Layer) {
        match layer {
            Layer::Link(name) => push(&mut self.links, &mut self.link_count, name),
            Layer::Extension(number) => push(&mut self.extensions, &mut self.extension_count, number),
            Layer::Ipv6(offset) => self.ip = Some(offset),
        }
    }
}

fn push<T>(array: &mut [T], count: &mut usize, value: T) {
    if let Some(free) = array.get_mut(*count) {
        *free = value;
        *count += 1;
    }
}

/// Records the layers that the parser passes.
struct Recorded<'a> {
    bytes: &'a [u8],
    trace: RefCell<Trace>,
}

impl Packet for Recorded<'_> {
    fn read<const N: usize>(&self, offset: usize) -> Result<[u8; N], GiveUp> {
        self.bytes.read(offset)
    }

    fn enter(&self, layer: Layer) {
        self.trace.borrow_mut().enter(layer);
    }
}

fn parse(bytes: &[u8], link: Link) -> (Result<Header, GiveUp>, Trace) {
    let recorded = Recorded { bytes, trace: RefCell::default() };
    let parsed = sensor_common::parse(&recorded, link);
    let mut trace = recorded.trace.into_inner();
    trace.announced = parsed.is_ok() || link::to_ipv6(bytes, link).is_ok();
    trace.header = trace.ip.and_then(|offset| {
        let header = bytes.read::<40>(offset).ok()?;
        let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(header.get(at..at + 16)?).ok()?));
        Some(Ipv6 { src: address(8)?, dst: address(24)?, hop_limit: header[7] })
    });
    (parsed, trace)
}
