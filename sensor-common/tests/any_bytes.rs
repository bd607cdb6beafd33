//! The parser on any bytes: it ends, it does not panic, and the way to a packet does not change
//! what it is.

use proptest::collection::vec;
use proptest::prelude::*;
use sensor_common::packet::FAR;
use sensor_common::{GiveUp, Link, Signal, parse};

const LINKS: [Link; 5] = [Link::Ethernet, Link::Raw, Link::Sll, Link::Sll2, Link::Null];
/// Headers that the walk goes along, upper layers, and one of neither.
const NUMBERS: [u8; 14] = [0, 6, 17, 41, 43, 44, 50, 51, 58, 60, 135, 139, 140, 59];

/// Bytes that look like packets for some way: headers follow headers, with lengths that are mostly
/// short and now and then wild.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let number = prop::sample::select(NUMBERS.to_vec());
    let header = (number.clone(), prop_oneof![8 => 0..4_u8, 1 => any::<u8>()], any::<[u8; 6]>());
    let ip =
        (number, prop_oneof![4 => Just(200_u16), 1 => any::<u16>()], prop_oneof![9 => Just(0x60_u8), 1 => any::<u8>()]);
    (ip, vec(header, 0..14), vec(any::<u8>(), 0..80)).prop_map(|((next, length, first), headers, rest)| {
        let mut bytes = vec![first, 0, 0, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([next, 64]);
        bytes.extend([0x20; 32]);
        for (next, length, body) in headers {
            bytes.extend([next, length]);
            bytes.extend(body);
            bytes.extend(vec![0; usize::from(length) * 8]);
        }
        bytes.extend(rest);
        bytes
    })
}

fn before(head: &[u8], packet: &[u8]) -> Vec<u8> {
    [head, packet].concat()
}

const ETHERNET: [u8; 14] = [2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 0x86, 0xdd];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn any_bytes_end_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        for link in LINKS {
            let _ = parse(&bytes[..], link);
        }
    }

    #[test]
    fn what_looks_like_packets_ends_without_a_panic(packet in packet(), link in 0..5_usize, cut in 0..400_usize) {
        let head: &[u8] = match LINKS[link] {
            Link::Ethernet => &ETHERNET,
            Link::Raw => &[],
            Link::Sll => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd],
            Link::Sll2 => &[0x86, 0xdd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Link::Null => &[30, 0, 0, 0],
        };
        let frame = before(head, &packet);
        let _ = parse(&frame[..cut.min(frame.len())], LINKS[link]);
        if let Ok(header) = parse(&frame[..], LINKS[link]) {
            prop_assert!(header.signal != Signal::None || header.tuple.dst_port == 0);
        }
    }

    /// The short cut for established connections sees only plain Ethernet and raw IP: with a tag
    /// before it, the same packet takes the long way.
    #[test]
    fn the_short_cut_says_what_the_long_way_says(packet in packet()) {
        let plain = parse(&before(&ETHERNET, &packet)[..], Link::Ethernet);
        let mut tagged = ETHERNET;
        tagged[12..].copy_from_slice(&[0x81, 0]);
        let tagged = parse(&before(&before(&tagged, &[0, 7, 0x86, 0xdd]), &packet)[..], Link::Ethernet);
        // Four bytes on the way may be the four that are too far.
        if tagged != Err(GiveUp::Far) || packet.len() < FAR - 100 {
            prop_assert_eq!(plain, tagged);
        }
    }
}
