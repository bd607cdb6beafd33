//! Compares our classes of interface identifiers with the classes of `addr6` of Fernando Gont's ipv6toolkit. Our
//! classes have the names of the classes in `addr6`.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv6Addr;
use std::process::{Command, Stdio};

use sensor_common::IidClass;

/// Number of random addresses, in addition to the crafted addresses.
const RANDOM: usize = 20_000;

#[test]
fn identifiers_are_classified_as_addr6_does() {
    let seed = seed();
    println!("seed {seed}: set TATTLER_SEED={seed} to repeat");
    let mut addresses = crafted();
    let mut random = Random(seed);
    addresses.extend((0..RANDOM).map(|_| near_a_class(&mut random)));

    let theirs = addr6(&addresses);
    assert_eq!(theirs.len(), addresses.len(), "addr6 left addresses out");
    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for (address, theirs) in addresses.iter().zip(&theirs) {
        let ours = IidClass::of(&address.octets());
        *counts.entry(theirs.as_str()).or_insert(0) += 1;
        if Some(ours) != class(theirs) {
            wrong.push(format!("{address}: {theirs} to addr6, {} to us", ours.as_str()));
        }
    }
    println!("{counts:?}");
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        addresses.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
    for class in IidClass::ALL {
        let met = theirs.iter().filter(|theirs| self::class(theirs) == Some(class)).count();
        assert!(met >= 100, "only {met} addresses of class {}", class.as_str());
    }
}

/// Our class for a name of `addr6`.
fn class(theirs: &str) -> Option<IidClass> {
    Some(match theirs {
        "ieee-derived" => IidClass::Eui64,
        "isatap" => IidClass::Isatap,
        "embedded-port" | "embedded-port-rev" => IidClass::EmbeddedPort,
        "embedded-ipv4" | "embedded-ipv4-32" | "embedded-ipv4-64" => IidClass::EmbeddedIpv4,
        "low-byte" => IidClass::LowByte,
        "pattern-bytes" | "byte-pattern" => IidClass::Pattern,
        "randomized" => IidClass::Random,
        _ => return None,
    })
}

/// Runs `addr6` on all addresses. The fourth field of its output is the type of the identifier.
fn addr6(addresses: &[Ipv6Addr]) -> Vec<String> {
    let mut child = Command::new("addr6")
        .args(["-i", "-d"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run addr6 of ipv6toolkit: `cargo xtask test` installs it, or `apt-get install ipv6toolkit`");
    let mut stdin = child.stdin.take().unwrap();
    let text: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "addr6: {}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('=').nth(3).unwrap_or(line).to_owned()).collect()
}

fn with_identifier(identifier: u64) -> Ipv6Addr {
    Ipv6Addr::from(0x2001_0db8_0001_0002_u128 << 64 | u128::from(identifier))
}

/// Addresses at the boundaries of each class.
fn crafted() -> Vec<Ipv6Addr> {
    // Low bytes and ports: all values of the last word, then small values in the preceding word.
    let mut identifiers: Vec<u64> = (0..=0xffff).collect();
    for small in [1, 2, 15, 16, 17, 18, 255, 256] {
        for port in [21, 22, 53, 80, 443, 0x21, 0x53, 0x80, 0x443, 993, 8080, 0x8080, 6446, 0x6446, 5060, 12_345, 0] {
            identifiers.push(small << 16 | port);
            identifiers.push(port << 16 | small);
        }
    }
    // Octets in words, around 255 in decimal and hexadecimal notation.
    let words = [0, 1, 9, 0x10, 0xfe, 0xff, 0x100, 0x199, 0x254, 0x255, 0x256, 0x25a, 0x300];
    for a in words {
        for b in words {
            for c in words {
                for d in words {
                    identifiers.push(a << 48 | b << 32 | c << 16 | d);
                }
            }
        }
    }
    // The marks of EUI-64 and ISATAP, with and without the bits of each mark.
    for first in [0x0000_u64, 0x0200, 0x0211, 0x0011, 0xfdff, 0xffff, 0x0100, 0x0300] {
        for second in [0x5efe_u64, 0x22ff, 0x00ff, 0xff00, 0x5eff] {
            for third in [0xfe33_u64, 0xc000, 0xfe00, 0x00fe] {
                identifiers.push(first << 48 | second << 32 | third << 16 | 0x4455);
            }
        }
    }
    identifiers.into_iter().map(with_identifier).collect()
}

/// A random identifier with some parts set to zero, or to the mark of a class.
fn near_a_class(random: &mut Random) -> Ipv6Addr {
    let mut identifier = random.next();
    match random.next() % 8 {
        0 => {
            for byte in 0..8 {
                if random.next().is_multiple_of(2) {
                    identifier &= !(0xff << (byte * 8));
                }
            }
        }
        1 => identifier = identifier & 0xffff_ff00_00ff_ffff | 0x0200_00ff_fe00_0000,
        2 => identifier = identifier & 0x0200_0000_ffff_ffff | 0x0000_5efe_0000_0000,
        3 => identifier &= 0xffff_ffff,
        4 => identifier &= 0x03ff_03ff_03ff_03ff,
        5 => identifier &= 0x001f_3fff,
        _ => {}
    }
    with_identifier(identifier)
}

fn seed() -> u64 {
    match std::env::var("TATTLER_SEED") {
        Ok(seed) => seed.parse().expect("TATTLER_SEED is a number"),
        Err(_) => std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64),
    }
}

/// SplitMix64 generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
