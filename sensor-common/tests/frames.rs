//! The parser on crafted frames: every link layer, every kind, every header and every reason to
//! give up. Headers come from etherparse, so that nobody checks his own idea of them.

use etherparse::{
    EtherType, Ethernet2Header, IpAuthHeader, IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header,
    Ipv6RawExtHeader, PacketBuilder, SingleVlanHeader, VlanId,
};
use sensor_common::{GiveUp, Header, Link, Signal, parse};

const SRC: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0xe0, 0x14, 0x9a, 0xff, 0x5e, 0x49, 0xec, 0xb3];
const DST: [u8; 16] = [0x2a, 0x0d, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x29];
/// Hop-by-hop, routing, destination options and the like, all of the same shape.
const RAW_HEADERS: [u8; 6] = [0, 43, 60, 135, 139, 140];

fn udp() -> Vec<u8> {
    PacketBuilder::ipv6(SRC, DST, 57).udp(40_000, 161).written(b"payload")
}

/// The steps of the builder that can be written.
trait Written {
    fn written(self, payload: &[u8]) -> Vec<u8>;
}
macro_rules! written {
    ($($header:ty),*) => {$(
        impl Written for etherparse::PacketBuilderStep<$header> {
            fn written(self, payload: &[u8]) -> Vec<u8> {
                let mut bytes = Vec::new();
                self.write(&mut bytes, payload).unwrap();
                bytes
            }
        }
    )*};
}
written!(etherparse::UdpHeader, etherparse::TcpHeader, etherparse::Icmpv6Header);

fn tcp(flags: u8) -> Vec<u8> {
    let mut packet = PacketBuilder::ipv6(SRC, DST, 57).tcp(40_000, 443, 7, 64_240).written(b"");
    packet[40 + 13] = flags;
    packet
}

fn echo() -> Vec<u8> {
    PacketBuilder::ipv6(SRC, DST, 57).icmpv6_echo_request(0x1234, 7).written(b"ping")
}

/// Puts an Ethernet header before `rest`.
fn ethernet(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header { source: [2; 6], destination: [4; 6], ether_type: EtherType(ether_type) };
    [&header.to_bytes()[..], rest].concat()
}

fn vlan(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let vlan_id = VlanId::try_new(7).unwrap();
    let header = SingleVlanHeader { vlan_id, ether_type: EtherType(ether_type), ..SingleVlanHeader::default() };
    [&header.to_bytes()[..], rest].concat()
}

/// PPPoE session (RFC 2516) with a PPP protocol number.
fn pppoe(protocol: u16, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() + 2) as u16;
    [&[0x11, 0, 0, 1], &length.to_be_bytes()[..], &protocol.to_be_bytes(), rest].concat()
}

fn ipv4(protocol: u8, options: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut header =
        Ipv4Header::new(rest.len() as u16, 64, IpNumber(protocol), [192, 0, 2, 1], [198, 51, 100, 1]).unwrap();
    header.options = options.try_into().unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], rest].concat()
}

/// An IPv6 header before `rest`.
fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: rest.len() as u16,
        next_header: IpNumber(next),
        hop_limit: 33,
        source: DST,
        destination: SRC,
        ..Ipv6Header::default()
    };
    [&header.to_bytes()[..], rest].concat()
}

/// Puts extension headers between a packet's IPv6 header and its payload.
fn extended(packet: &[u8], headers: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut next = packet[6];
    let mut chain = packet[40..].to_vec();
    for (number, header) in headers.iter().rev() {
        let mut header = header.clone();
        header[0] = next;
        chain.splice(0..0, header);
        next = *number;
    }
    let mut whole = packet[..40].to_vec();
    whole[4..6].copy_from_slice(&(chain.len() as u16).to_be_bytes());
    whole[6] = next;
    whole.extend(chain);
    whole
}

fn raw_header(number: u8, length: usize) -> (u8, Vec<u8>) {
    (number, Ipv6RawExtHeader::new_raw(IpNumber(0), &vec![0; length - 2]).unwrap().to_bytes().to_vec())
}

fn authentication(icv: usize) -> (u8, Vec<u8>) {
    (51, IpAuthHeader::new(IpNumber(0), 1, 2, &vec![9; icv]).unwrap().to_bytes().to_vec())
}

fn fragment(offset: u16, more: bool) -> (u8, Vec<u8>) {
    let header = Ipv6FragmentHeader::new(IpNumber(0), IpFragOffset::try_new(offset).unwrap(), more, 99);
    (44, header.to_bytes().to_vec())
}

fn on_ethernet(packet: &[u8]) -> Result<Header, GiveUp> {
    parse(&ethernet(0x86dd, packet)[..], Link::Ethernet)
}

#[track_caller]
fn is_the_udp(parsed: Result<Header, GiveUp>) {
    let header = parsed.unwrap();
    assert_eq!(header.signal, Signal::Udp);
    assert_eq!((header.tuple.src, header.tuple.dst), (SRC, DST));
    assert_eq!((header.tuple.src_port, header.tuple.dst_port), (40_000, 161));
    assert_eq!((header.detail.hop_limit, header.detail.payload_len), (57, 7));
}

#[test]
fn every_link_layer_leads_to_the_packet() {
    let udp = udp();
    let tunnel = ipv4(41, &[], &udp);
    for (name, link, frame) in [
        ("ethernet", Link::Ethernet, ethernet(0x86dd, &udp)),
        ("802.1Q", Link::Ethernet, ethernet(0x8100, &vlan(0x86dd, &udp))),
        ("802.1ad", Link::Ethernet, ethernet(0x88a8, &vlan(0x8100, &vlan(0x86dd, &udp)))),
        ("0x9100", Link::Ethernet, ethernet(0x9100, &vlan(0x86dd, &udp))),
        ("PPPoE", Link::Ethernet, ethernet(0x8864, &pppoe(0x0057, &udp))),
        ("two tags, PPPoE", Link::Ethernet, ethernet(0x8100, &vlan(0x8100, &vlan(0x8864, &pppoe(0x0057, &udp))))),
        ("6in4", Link::Ethernet, ethernet(0x0800, &tunnel)),
        ("6in4 with options", Link::Ethernet, ethernet(0x0800, &ipv4(41, &[1; 40], &udp))),
        ("6in4 in PPPoE", Link::Ethernet, ethernet(0x8864, &pppoe(0x0021, &tunnel))),
        ("raw", Link::Raw, udp.clone()),
        ("raw 6in4", Link::Raw, tunnel.clone()),
        ("SLL", Link::Sll, [&[0; 14], &[0x86, 0xdd][..], &udp].concat()),
        ("SLL 6in4", Link::Sll, [&[0; 14], &[0x08, 0x00][..], &tunnel].concat()),
        ("SLL2", Link::Sll2, [&[0x86, 0xdd], &[0; 18][..], &udp].concat()),
        ("null, Linux", Link::Null, [&10_u32.to_le_bytes()[..], &udp].concat()),
        ("null, OpenBSD", Link::Null, [&24_u32.to_be_bytes()[..], &udp].concat()),
        ("null, FreeBSD", Link::Null, [&28_u32.to_le_bytes()[..], &udp].concat()),
        ("null, Darwin", Link::Null, [&30_u32.to_le_bytes()[..], &udp].concat()),
        ("null 6in4", Link::Null, [&2_u32.to_be_bytes()[..], &tunnel].concat()),
    ] {
        println!("{name}");
        is_the_udp(parse(&frame[..], link));
    }
}

#[test]
fn what_is_not_ipv6_says_so() {
    let udp = udp();
    for (link, frame) in [
        (Link::Ethernet, ethernet(0x0806, &[0; 46])),
        (Link::Ethernet, ethernet(0x0800, &ipv4(17, &[], &udp))),
        (Link::Ethernet, ethernet(0x8864, &pppoe(0xc021, &udp))),
        (Link::Ethernet, ethernet(0x8863, &pppoe(0x0057, &udp))),
        (Link::Raw, [&[0x50], &udp[1..]].concat()),
        (Link::Null, [&3_u32.to_le_bytes()[..], &udp].concat()),
        (Link::Sll, [&[0; 16][..], &udp].concat()),
    ] {
        assert_eq!(parse(&frame[..], link), Err(GiveUp::NotIpv6), "{link:?} {frame:02x?}");
    }
}

#[test]
fn every_kind_is_told_with_its_ports_and_traits() {
    let syn = on_ethernet(&tcp(0xc2)).unwrap();
    assert_eq!((syn.signal, syn.tuple.dst_port, syn.detail.tcp_flags), (Signal::Syn, 443, 0xc2));
    assert_eq!((syn.detail.window, syn.detail.payload_len), (64_240, 0));
    assert_eq!(on_ethernet(&tcp(0x12)).unwrap().signal, Signal::SynAck);
    assert_eq!(on_ethernet(&tcp(0x10)).unwrap().signal, Signal::None);
    assert_eq!(on_ethernet(&tcp(0x29)).unwrap().signal, Signal::TcpOther);

    let echo = on_ethernet(&echo()).unwrap();
    assert_eq!((echo.signal, echo.tuple.src_port, echo.tuple.dst_port), (Signal::Echo, 0x1234, 0x1234));
    assert_eq!((echo.detail.icmp_id, echo.detail.icmp_seq, echo.detail.payload_len), (0x1234, 7, 4));
    let reply = PacketBuilder::ipv6(SRC, DST, 57).icmpv6_echo_reply(1, 2).written(b"");
    assert_eq!(on_ethernet(&reply).unwrap().signal, Signal::EchoReply);

    let mut labelled = udp();
    labelled[..4].copy_from_slice(&0x6fab_cdef_u32.to_be_bytes());
    assert_eq!(on_ethernet(&labelled).unwrap().detail.flow_label, 0xb_cdef);
}

#[test]
fn eight_extension_headers_are_read_and_a_ninth_is_not() {
    let mut chain: Vec<(u8, Vec<u8>)> = RAW_HEADERS.iter().map(|&number| raw_header(number, 8)).collect();
    chain.extend([authentication(12), fragment(0, false)]);
    is_the_udp(on_ethernet(&extended(&udp(), &chain)));
    chain.insert(0, raw_header(60, 8));
    assert_eq!(on_ethernet(&extended(&udp(), &chain)), Err(GiveUp::TooManyHeaders));
}

#[test]
fn headers_of_any_length_are_passed() {
    for number in RAW_HEADERS {
        for length in [8, 16, 24, 264, 2048] {
            is_the_udp(on_ethernet(&extended(&udp(), &[raw_header(number, length)])));
        }
    }
    for icv in [0, 4, 12, 16, 32, 1016] {
        is_the_udp(on_ethernet(&extended(&udp(), &[authentication(icv)])));
    }
    // Beyond the reach of both sides alike.
    let far: Vec<_> = (0..5).map(|_| raw_header(60, 2048)).collect();
    assert_eq!(on_ethernet(&extended(&udp(), &far)), Err(GiveUp::Far));
}

#[test]
fn first_and_atomic_fragments_are_read_and_later_ones_are_not() {
    is_the_udp(on_ethernet(&extended(&udp(), &[fragment(0, true)])));
    is_the_udp(on_ethernet(&extended(&udp(), &[fragment(0, false)])));
    assert_eq!(on_ethernet(&extended(&udp(), &[fragment(1, true)])), Err(GiveUp::LaterFragment));
    assert_eq!(on_ethernet(&extended(&udp(), &[fragment(185, false)])), Err(GiveUp::LaterFragment));
    let mut later = ipv4(41, &[], &udp());
    later[7] = 100;
    assert_eq!(parse(&ethernet(0x0800, &later)[..], Link::Ethernet), Err(GiveUp::LaterFragment));
}

#[test]
fn the_innermost_of_three_packets_counts_and_a_fourth_is_too_deep() {
    let two = ipv6(41, &udp());
    is_the_udp(on_ethernet(&two));
    let three = ipv6(41, &two);
    is_the_udp(on_ethernet(&three));
    assert_eq!(on_ethernet(&ipv6(41, &three)), Err(GiveUp::TooDeep));
    let chains = extended(&ipv6(41, &extended(&udp(), &vec![raw_header(60, 8); 4])), &vec![raw_header(0, 8); 4]);
    is_the_udp(on_ethernet(&chains));
}

#[test]
fn the_worst_that_is_read_at_all_is_read() {
    let inner = extended(&udp(), &vec![raw_header(60, 8); 8]);
    let tunnel = ipv4(41, &[1; 40], &ipv6(41, &ipv6(41, &inner)));
    let frame = ethernet(0x88a8, &vlan(0x8100, &vlan(0x8864, &pppoe(0x0021, &tunnel))));
    is_the_udp(parse(&frame[..], Link::Ethernet));
}

#[test]
fn a_third_tag_is_one_too_many() {
    let frame = ethernet(0x88a8, &vlan(0x8100, &vlan(0x8100, &vlan(0x86dd, &udp()))));
    assert_eq!(parse(&frame[..], Link::Ethernet), Err(GiveUp::TooManyTags));
}

#[test]
fn a_wrong_version_says_so() {
    let mut packet = udp();
    packet[0] = 0x40;
    assert_eq!(on_ethernet(&packet), Err(GiveUp::BadVersion));
    assert_eq!(on_ethernet(&ipv6(41, &packet)), Err(GiveUp::BadVersion));
}

#[test]
fn padding_behind_the_payload_length_is_nobodys_header() {
    for (packet, header) in [(udp(), 8), (tcp(2), 20), (echo(), 8)] {
        for short in [0, 1, header - 1] {
            let mut packet = packet.clone();
            packet[4..6].copy_from_slice(&(short as u16).to_be_bytes());
            packet.resize(120, 0);
            assert_eq!(on_ethernet(&packet), Err(GiveUp::BadLength), "{short} of {header} bytes");
        }
    }
    let mut padded = udp();
    padded.resize(120, 0);
    is_the_udp(on_ethernet(&padded));
}

#[test]
fn a_jumbogram_is_read_by_its_option_and_a_missing_option_is_no_jumbogram() {
    // RFC 2675: payload length 0, and the length in a hop-by-hop option of type 0xc2.
    let mut jumbo = extended(&udp(), &[(0, vec![0, 0, 0xc2, 4, 0, 1, 0, 15])]);
    jumbo[4..6].copy_from_slice(&[0, 0]);
    let header = on_ethernet(&jumbo).unwrap();
    assert_eq!((header.signal, header.tuple.dst_port), (Signal::Udp, 161));
    let mut none = udp();
    none[4..6].copy_from_slice(&[0, 0]);
    assert_eq!(on_ethernet(&none), Err(GiveUp::BadLength));
}

#[test]
fn whatever_is_cut_off_is_truncated_and_never_something_else() {
    let whole = ethernet(0x86dd, &extended(&tcp(2), &[raw_header(0, 16), fragment(0, true)]));
    assert!(parse(&whole[..], Link::Ethernet).is_ok());
    for length in 0..whole.len() {
        // The parser needs sixteen of the twenty bytes of a TCP header.
        let expected =
            if length + 4 < whole.len() { Err(GiveUp::Truncated) } else { parse(&whole[..], Link::Ethernet) };
        assert_eq!(parse(&whole[..length], Link::Ethernet), expected, "{length} bytes");
    }
}

#[test]
fn upper_layers_without_a_kind_say_nothing() {
    for upper in [4, 47, 50, 59, 89, 103, 132, 255] {
        let packet = ipv6(upper, &[0; 64]);
        let header = on_ethernet(&packet).unwrap();
        assert_eq!((header.signal, header.tuple.src, header.detail.hop_limit), (Signal::None, DST, 33), "{upper}");
    }
}
