//! The same bytes through the kernel (BPF_PROG_TEST_RUN) and through user space give the same
//! classification. Runs as root.

use std::path::{Path, PathBuf};

use aya::maps::Array;
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use sensor_common::wire::Classified;
use sensor_common::{Link, names, parse};
use sensor_user::source::Input;
use sensor_user::source::capture::{Frames, Framing};

/// Mutated frames, unless TATTLER_MUTATED says how many; a seed reproduces them.
const MUTATED: usize = 100_000;
/// The kernel refuses shorter packets: shorter than an Ethernet header.
const SHORTEST: usize = 14;
/// The kernel refuses packets that don't fit a page with its headroom.
const LONGEST: usize = 3_000;
const SIZE: usize = size_of::<Classified>();

/// A frame as the kernel can be given it.
#[derive(Clone)]
struct Sample {
    bytes: Vec<u8>,
    link: Link,
    from: String,
}

/// The parser's programs in the kernel.
struct Kernel {
    ebpf: Ebpf,
    found: Array<aya::maps::MapData, [u8; SIZE]>,
}

impl Kernel {
    fn load() -> Kernel {
        let mut ebpf = EbpfLoader::new().load(sensor_user::datapath::object()).expect("load the object, as root");
        for name in [names::CLASSIFY, names::CLASSIFY_RAW] {
            let program: &mut Xdp = ebpf.program_mut(name).expect(name).try_into().expect(name);
            program.load().expect(name);
        }
        let found = Array::try_from(ebpf.take_map(names::CLASSIFIED).expect("map")).expect("array");
        Kernel { ebpf, found }
    }

    fn classify(&self, sample: &Sample) -> [u8; SIZE] {
        let name = if sample.link == Link::Raw { names::CLASSIFY_RAW } else { names::CLASSIFY };
        let program: &Xdp = self.ebpf.program(name).expect(name).try_into().expect(name);
        let options = TestRunOptions { data_in: Some(&sample.bytes), ..TestRunOptions::new() };
        program.test_run(options).unwrap_or_else(|e| panic!("{}: {e}", sample.from));
        self.found.get(&0, 0).expect("read the map")
    }
}

fn host(sample: &Sample) -> Classified {
    Classified::new(parse(sample.bytes.as_slice(), sample.link))
}

fn bytes_of(found: &Classified) -> [u8; SIZE] {
    // SAFETY: the record has no padding, which a test of sensor-common checks.
    unsafe { std::mem::transmute(*found) }
}

/// The captures, where they are: `None` if nobody named them and they are not beside the project.
fn captures() -> Option<Vec<PathBuf>> {
    let named = std::env::var_os("TATTLER_CAPTURES").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let dir = match named {
        Some(dir) => dir,
        None if beside.is_dir() => beside,
        None => return None,
    };
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
    // Link types that nobody knows end with an error of their own, tested elsewhere.
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

/// Frames of our own, for where the captures are not: every link layer and a chain of headers.
fn crafted() -> Vec<Sample> {
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
                (
                    "6in4",
                    [
                        &[2; 12][..],
                        &[0x08, 0, 0x46, 0, 0, 99, 0, 0, 0, 0, 64, 41, 0, 0],
                        &[192, 0, 2, 1],
                        &[192, 0, 2, 2],
                        &[1; 4],
                    ]
                    .concat(),
                    Link::Ethernet,
                ),
            ];
            for (name, head, link) in heads {
                let from = format!("crafted {name}, {chain} headers, then {upper}");
                samples.push(Sample { bytes: [&head[..], &ip].concat(), link, from });
            }
        }
    }
    samples
}

/// Xorshift64*: enough to mutate with, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    /// Changes some bytes near the front, where the headers are; cuts or fills up now and then.
    fn mutate(&mut self, sample: &mut Sample) {
        for _ in 0..=self.below(4) {
            let at = self.below(sample.bytes.len().clamp(1, 120));
            // Numbers that mean something to the parser come up more often than by chance.
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

fn compare(kernel: &Kernel, sample: &Sample) {
    let expected = host(sample);
    if sample.bytes.len() < SHORTEST {
        return;
    }
    let found = kernel.classify(sample);
    assert_eq!(
        found,
        bytes_of(&expected),
        "{}: user space says {expected:?}; bytes {:02x?}",
        sample.from,
        sample.bytes
    );
}

#[test]
fn kernel_and_user_space_classify_the_same_bytes_alike() {
    let kernel = Kernel::load();
    let mut pool = crafted();
    match captures() {
        Some(files) => {
            assert!(files.len() > 200, "only {} captures", files.len());
            pool.extend(files.iter().flat_map(|file| samples(file)));
        }
        None => println!("not run: the captures, which are neither beside the project nor named by TATTLER_CAPTURES"),
    }
    let mut signals = std::collections::BTreeMap::<(u8, u8), usize>::new();
    for sample in &pool {
        compare(&kernel, sample);
        let found = host(sample);
        *signals.entry((found.signal, found.gave_up)).or_default() += 1;
    }
    println!("{} frames as they are; by (signal, give-up + 1): {signals:?}", pool.len());

    let seed = std::env::var("TATTLER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64 | 1)
    });
    let mutated = std::env::var("TATTLER_MUTATED").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATED);
    println!("{mutated} mutated frames, TATTLER_SEED={seed}");
    pool.retain(|sample| sample.bytes.len() >= SHORTEST);
    let mut random = Random(seed);
    for _ in 0..mutated {
        let mut sample = pool[random.below(pool.len())].clone();
        random.mutate(&mut sample);
        compare(&kernel, &sample);
    }
}

#[test]
fn the_comparison_sees_a_difference() {
    let kernel = Kernel::load();
    let sample = &crafted()[0];
    let mut other = sample.clone();
    let last = other.bytes.len() - 1;
    other.bytes.truncate(last - 12);
    assert_ne!(kernel.classify(&other), bytes_of(&host(sample)));
}
