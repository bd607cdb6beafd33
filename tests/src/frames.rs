//! Captured frames, crafted frames, and both with mutations; and SYNs.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use crate::captures;
use etherparse::PacketBuilder;
use sensor_common::Link;
use tattler_files::Input;
use tattler_files::capture::{Frames, Framing};

/// The kernel refuses shorter packets: shorter than an Ethernet header.
pub const SHORTEST: usize = 14;
/// The kernel refuses packets that don't fit a page with its headroom.
const LONGEST: usize = 3_000;

/// A frame for the kernel programs.
#[derive(Clone, Debug)]
pub struct Sample {
    /// From the link layer on.
    pub bytes: Vec<u8>,
    /// Ethernet or raw.
    pub link: Link,
    /// Its capture and number, for messages.
    pub from: String,
}

/// Every frame of every capture; none where there are no captures.
pub fn captured() -> Vec<Sample> {
    let Some(files) = captures() else { return Vec::new() };
    assert!(files.len() > 200, "only {} captures", files.len());
    files.iter().flat_map(|file| samples(file)).collect()
}

fn captures() -> Option<Vec<PathBuf>> {
    let dir = captures::directory()?;
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("read {}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("list").path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap"))
        .collect();
    files.sort();
    Some(files)
}

/// Every frame of a capture, as Ethernet or as raw IP; those of cooked and loopback links without
/// their header.
fn samples(path: &Path) -> Vec<Sample> {
    let name = path.display().to_string();
    let Ok(content) = Input::File(path.to_owned()).open() else { return Vec::new() };
    // Other tests check the error for unknown link types.
    let Ok(mut frames) = Frames::new(&name, content) else { return Vec::new() };
    let mut samples = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let (skip, link) = match frame.link_type.framing() {
            Some(Framing::Plain(Link::Ethernet)) => (0, Link::Ethernet),
            Some(Framing::Plain(Link::Raw) | Framing::Ipv4 | Framing::Ipv6) => (0, Link::Raw),
            Some(Framing::Plain(Link::Sll)) => (16, Link::Raw),
            Some(Framing::Plain(Link::Sll2)) => (20, Link::Raw),
            Some(Framing::Plain(Link::Null)) => (4, Link::Raw),
            Some(Framing::Ppp | Framing::PppEther) | None => continue,
        };
        let mut bytes = frame.bytes.get(skip..).unwrap_or_default().to_vec();
        bytes.truncate(LONGEST);
        samples.push(Sample { bytes, link, from: format!("{name} frame {}", frame.number) });
    }
    samples
}

/// The EtherType and the header of a 6in4 packet with four bytes of options.
const IPV4_WITH_OPTIONS: [u8; 26] =
    [8, 0, 0x46, 0, 0, 99, 0, 0, 0, 0, 64, 41, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 1, 1, 1, 1];

/// A frame with a SYN: hardware addresses and IP addresses of source and target, hop limit, and target port.
pub fn syn(macs: ([u8; 6], [u8; 6]), from: Ipv6Addr, to: Ipv6Addr, hop_limit: u8, port: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(macs.0, macs.1).ipv6(from.octets(), to.octets(), hop_limit);
    written(|frame| builder.tcp(40_000, port, 1, 1_024).syn().write(frame, &[]).expect("a frame"))
}

/// A frame that a builder of etherparse writes.
pub fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame);
    frame
}

/// Crafted frames: every link layer and chains of headers. Tests use them where there are no captures.
pub fn crafted() -> Vec<Sample> {
    let mut samples = Vec::new();
    for upper in [6u8, 17, 58, 44, 0, 43, 60, 51, 135, 139, 140, 41, 59, 50] {
        for chain in 0..11 {
            let mut ip = vec![0x60, 0, 0, 0, 0, 200, if chain == 0 { upper } else { 60 }, 64];
            ip.extend([0x20; 16]);
            ip.extend([0x2a; 16]);
            for header in 0..chain {
                ip.extend([if header + 1 == chain { upper } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
            }
            ip.extend([0x80, 0, 0, 22, 0, 7, 0, 3, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let heads: [(&str, Vec<u8>, Link); 5] = [
                ("raw", vec![], Link::Raw),
                ("eth", [&[2; 12][..], &[0x86, 0xdd]].concat(), Link::Ethernet),
                ("vlan", [&[2; 12][..], &[0x81, 0, 0, 7, 0x86, 0xdd]].concat(), Link::Ethernet),
                (
                    "qinq pppoe",
                    [&[2; 12][..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 0x88, 0x64, 0x11, 0, 0, 1, 0, 99, 0, 0x57]]
                        .concat(),
                    Link::Ethernet,
                ),
                ("6in4", [&[2; 12][..], &IPV4_WITH_OPTIONS].concat(), Link::Ethernet),
            ];
            for (name, head, link) in heads {
                let from = format!("crafted {name}, {chain} headers, then {upper}");
                samples.push(Sample { bytes: [&head[..], &ip].concat(), link, from });
            }
        }
    }
    samples
}

/// Xorshift64*: a seed repeats its numbers everywhere.
pub struct Random(u64);

impl Random {
    /// Starts with TATTLER_SEED or else with the time, and prints the seed.
    pub fn seeded() -> Random {
        let named = std::env::var("TATTLER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = named.unwrap_or_else(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64 | 1)
        });
        println!("TATTLER_SEED={seed}");
        Random(seed)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    /// Changes some bytes in the headers, and sometimes cuts or extends the frame.
    pub fn mutate(&mut self, sample: &mut Sample) {
        for _ in 0..=self.below(4) {
            let at = self.below(sample.bytes.len().clamp(1, 120));
            // Numbers with a meaning for the parser, more often than by chance.
            let likely = [0, 1, 4, 6, 17, 41, 43, 44, 51, 58, 60, 0x60, 0x81, 0x86, 0xdd, 0x88, 135, 139, 140, 255];
            let byte = if self.below(2) == 0 { likely[self.below(likely.len())] } else { self.below(256) as u8 };
            if let Some(old) = sample.bytes.get_mut(at) {
                *old = byte;
            }
        }
        match self.below(8) {
            0 => sample.bytes.truncate(self.below(sample.bytes.len().max(1)).max(SHORTEST)),
            1 => sample.bytes.extend(std::iter::repeat_n(0, self.below(64))),
            _ => {}
        }
        sample.from.push_str(" mutated");
    }
}
