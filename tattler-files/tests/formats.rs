//! Tests of the capture formats: both byte orders, all resolutions, sections, cut files and wrong lengths.

use std::io::Write;

use proptest::prelude::*;
use tattler_files::capture::Frames;
use tattler_files::{Input, ReadError, Stop};
use tempfile::NamedTempFile;

/// A frame: nanoseconds, link type and bytes.
type Read = (i64, u16, Vec<u8>);

/// Reads a file. Also returns the reason if the file can't be read to its end.
fn read(bytes: &[u8]) -> Result<(Vec<Read>, Option<Stop>), ReadError> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let content = Input::File(file.path().into()).open()?;
    let mut frames = Frames::new("x", content)?;
    let mut read = Vec::new();
    loop {
        match frames.next() {
            Ok(Some(frame)) => read.push((frame.nanos, frame.link_type.0, frame.bytes.to_vec())),
            Ok(None) => return Ok((read, None)),
            Err(stop) => return Ok((read, Some(stop))),
        }
    }
}

fn whole(bytes: &[u8]) -> Vec<Read> {
    let (frames, stop) = read(bytes).unwrap();
    assert_eq!(stop, None);
    frames
}

/// Writes numbers in a byte order.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}
use Order::{Big, Little};

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        if let Little = self { number.to_le_bytes() } else { number.to_be_bytes() }
    }
    fn u32(self, number: u32) -> [u8; 4] {
        if let Little = self { number.to_le_bytes() } else { number.to_be_bytes() }
    }
    fn i64(self, number: i64) -> [u8; 8] {
        if let Little = self { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

fn pcap(order: Order, magic: u32, link_type: u32, extra: usize, frames: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = order.u32(magic).to_vec();
    bytes.extend([0; 16]);
    bytes.extend(order.u32(link_type));
    for (seconds, fraction, frame) in frames {
        for number in [*seconds, *fraction, frame.len() as u32, 9_999] {
            bytes.extend(order.u32(number));
        }
        bytes.extend(vec![0xee; extra]);
        bytes.extend(*frame);
    }
    bytes
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let length = order.u32((body.len() + padding.len() + 12) as u32);
    [&order.u32(kind), &length, body, &padding, &length].concat()
}

fn section(order: Order) -> Vec<u8> {
    block(order, 0x0a0d_0d0a, &[&order.u32(0x1a2b_3c4d)[..], &[0; 4], &[0xff; 8]].concat())
}

fn interface(order: Order, link_type: u16, snapshot: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = [&order.u16(link_type)[..], &[0, 0], &order.u32(snapshot)].concat();
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(value.len() as u16));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

fn packet(order: Order, id: u32, units: u64, frame: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [id, (units >> 32) as u32, units as u32, frame.len() as u32, 9_999] {
        body.extend(order.u32(number));
    }
    body.extend(frame);
    block(order, 6, &body)
}

#[test]
fn pcap_with_every_magic_is_read() {
    let frames: [(u32, u32, &[u8]); 2] = [(1_788_226_914, 831_000, b"one"), (4_000_000_000, 1, b"")];
    for order in [Little, Big] {
        for (magic, unit, extra) in [(0xa1b2_c3d4, 1_000, 0), (0xa1b2_3c4d, 1, 0), (0xa1b2_cd34, 1_000, 8)] {
            // The upper bits of the link type describe a frame check sequence.
            let read = whole(&pcap(order, magic, 0xf400_0001, extra, &frames));
            let expected = [
                (1_788_226_914_000_000_000 + 831_000 * unit, 1, b"one".to_vec()),
                (4_000_000_000_000_000_000 + unit, 1, vec![]),
            ];
            assert_eq!(read, expected, "{magic:#x}");
        }
    }
}

#[test]
fn pcapng_sections_interfaces_and_resolutions_are_read() {
    let mut bytes = Vec::new();
    for order in [Little, Big] {
        bytes.extend(section(order));
        bytes.extend(interface(order, 1, 0, &[]));
        bytes.extend(block(order, 0x0bad, b"of a vendor"));
        bytes.extend(interface(order, 101, 0, &[(2, b"tun0"), (9, &[9]), (14, &order.i64(1_000))]));
        bytes.extend(interface(order, 276, 0, &[(9, &[0x80 | 20]), (14, &order.i64(-1))]));
        bytes.extend(packet(order, 1, 1_500_000_000, b"nano"));
        bytes.extend(packet(order, 0, 2_000_001, b"micro"));
        bytes.extend(block(order, 5, &[0; 12])); // interface statistics
        bytes.extend(packet(order, 2, 3 << 19, b"binary"));
    }
    let section = [
        (1_001_500_000_000, 101, b"nano".to_vec()),
        (2_000_001_000, 1, b"micro".to_vec()),
        (500_000_000, 276, b"binary".to_vec()),
    ];
    assert_eq!(whole(&bytes), [section.clone(), section].concat());
}

#[test]
fn simple_and_obsolete_packets_of_pcapng_are_read() {
    let mut bytes = [section(Little), interface(Little, 1, 4, &[]), packet(Little, 0, 7_000_000, b"full")].concat();
    // The packet on the wire is longer than the snapshot length: the rest was not captured.
    bytes.extend(block(Little, 3, &[&Little.u32(1_500)[..], b"simp"].concat()));
    bytes.extend(block(Little, 3, &[&Little.u32(2)[..], b"si\0\0"].concat()));
    let obsolete = [&Little.u16(0)[..], &[0xff, 0xff], &Little.u32(0), &Little.u32(8_000_000), &Little.u32(3)];
    bytes.extend(block(Little, 2, &[&obsolete.concat()[..], &Little.u32(3), b"old"].concat()));
    let expected = [
        (7_000_000_000, 1, b"full".to_vec()),
        (7_000_000_000, 1, b"simp".to_vec()),
        (7_000_000_000, 1, b"si".to_vec()),
        (8_000_000_000, 1, b"old".to_vec()),
    ];
    assert_eq!(whole(&bytes), expected);
}

#[test]
fn absurd_resolutions_and_offsets_give_some_time() {
    for options in
        [[(9, &[127_u8][..]), (14, &[0xff; 8])], [(9, &[0xff]), (14, &[0x7f; 8])], [(9, &[0]), (14, &[0; 8])]]
    {
        let bytes = [section(Big), interface(Big, 1, 0, &options), packet(Big, 0, u64::MAX, b"x")].concat();
        assert_eq!(whole(&bytes).len(), 1);
    }
}

#[test]
fn a_cut_anywhere_is_reported_and_all_before_counts() {
    let pcap = pcap(Little, 0xa1b2_c3d4, 1, 0, &[(1, 0, b"first"), (2, 0, b"second")]);
    let ng =
        [section(Big), interface(Big, 1, 0, &[]), packet(Big, 0, 1, b"first"), packet(Big, 0, 2, b"second")].concat();
    for bytes in [pcap, ng] {
        let all = whole(&bytes);
        for length in 4..bytes.len() {
            match read(&bytes[..length]) {
                Ok((frames, None)) => assert!(frames.len() < 2 && all.starts_with(&frames), "{length}"),
                Ok((frames, Some(stop))) => {
                    assert_eq!(stop, Stop::CutShort, "{length}");
                    assert!(all.starts_with(&frames), "{length}");
                }
                Err(ReadError::Header { stop, .. }) => assert_eq!(stop, Stop::CutShort, "{length}"),
                Err(error) => panic!("{length}: {error}"),
            }
        }
    }
}

#[test]
fn wrong_lengths_are_reported_and_take_no_memory() {
    let mut lie = pcap(Little, 0xa1b2_c3d4, 1, 0, &[(1, 0, b"first"), (2, 0, b"second")]);
    let at = lie.len() - 6 - 8;
    lie[at..at + 4].copy_from_slice(&[0xff; 4]);
    let (frames, stop) = read(&lie).unwrap();
    assert_eq!(frames.len(), 1);
    assert_eq!(stop, Some(Stop::Damaged("a frame of 4294967295 bytes".into())));

    let head = [section(Little), interface(Little, 1, 0, &[]), packet(Little, 0, 1, b"first")].concat();
    for (tail, expected) in [
        (vec![6, 0, 0, 0, 4, 0, 0, 0], "a block of 4 bytes"),
        (vec![6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "a block of 4294967295 bytes"),
        (block(Little, 6, &[0; 8]), "a block too short for its content"),
        (packet(Little, 3, 1, b"x"), "a packet of the unknown interface 3"),
        ([&block(Little, 9, b"abcd")[..12], &[99, 0, 0, 0]].concat(), "a block of 16 bytes whose end says 99"),
        (block(Little, 0x0a0d_0d0a, &[0; 16]), "a section of unknown byte order"),
    ] {
        let (frames, stop) = read(&[&head[..], &tail].concat()).unwrap();
        assert_eq!(frames.len(), 1, "{expected}");
        assert_eq!(stop, Some(Stop::Damaged(expected.into())));
    }
    // A block that claims nearly 4 GiB.
    let (_, stop) = read(&[&head[..], &[6, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 0, 0]].concat()).unwrap();
    assert_eq!(stop, Some(Stop::CutShort));
}

#[test]
fn compressed_captures_of_one_or_several_parts_are_read() {
    let bytes = pcap(Little, 0xa1b2_c3d4, 1, 0, &[(1, 0, &[7; 5_000]), (2, 0, b"second")]);
    let all = whole(&bytes);
    let (head, tail) = bytes.split_at(3_000);
    assert_eq!(whole(&gzip(&bytes)), all);
    assert_eq!(whole(&[gzip(head), gzip(tail)].concat()), all);
    assert_eq!(whole(&zstd(&bytes)), all);
    let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    assert_eq!(whole(&[&skipped, &zstd(head), &skipped, &zstd(tail)].map(|part| &part[..]).concat()), all);
}

#[test]
fn cut_or_damaged_compressed_captures_are_reported() {
    let frames: Vec<(u32, u32, &[u8])> = (0..20_000).map(|second| (second, second * 7_919, &b"frame"[..])).collect();
    let bytes = pcap(Little, 0xa1b2_c3d4, 1, 0, &frames);
    for packed in [gzip(&bytes), zstd(&bytes)] {
        let (read_before, stop) = read(&packed[..packed.len() - 20]).unwrap();
        assert_eq!(stop, Some(Stop::CutShort));
        assert!(read_before.len() < 20_000);
        let mut damaged = packed.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0xa5);
        assert!(matches!(read(&damaged).unwrap().1, Some(Stop::Damaged(_) | Stop::CutShort)));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn unknown_and_empty_files_are_errors_with_a_way_out() {
    let error = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(error(b"").ends_with(" is empty: give a capture, a log or JSON Lines"));
    assert!(error(b"\x7fELF\x01\x02").starts_with("unknown format of "));
    assert!(error(b"{}").contains("is no capture, but JSON Lines: "));
    assert!(error(&pcap(Big, 0xa1b2_c3d4, 105, 0, &[])).contains("has link type 105"));
    assert!(error(&gzip(b"")).ends_with(" is empty: give a capture, a log or JSON Lines"));
    assert!(error(&[0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]).starts_with("cannot decompress "));
    assert!(error(&[0x28, 0xb5, 0x2f, 0xfd]).starts_with("cannot decompress "));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_after_a_magic_are_read_without_a_panic(
        magic in 0..5_usize,
        bytes in prop::collection::vec(prop_oneof![2 => Just(0_u8), 1 => 0..32_u8, 1 => any::<u8>()], 0..400),
    ) {
        let head = match magic {
            0 => Little.u32(0xa1b2_c3d4).to_vec(),
            1 => section(Big),
            2 => [section(Little), interface(Little, 1, 0, &[])].concat(),
            3 => vec![0x1f, 0x8b, 8, 0],
            _ => vec![0x28, 0xb5, 0x2f, 0xfd],
        };
        let _ = read(&[head, bytes].concat());
    }
}
