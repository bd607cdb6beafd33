//! The same bytes through the kernel (BPF_PROG_TEST_RUN) and through user space give the same
//! classification. Runs as root.

use aya::Ebpf;
use aya::maps::Array;
use aya::programs::TestRunOptions;
use sensor_common::wire::Classified;
use sensor_common::{Link, names, parse};
use tests::frames::{Random, SHORTEST, Sample, captured, crafted};
use tests::kernel::{load, object, test_run};

/// Mutated frames, unless TATTLER_MUTATED names another number. A seed reproduces them.
const MUTATED: usize = 100_000;
const SIZE: usize = size_of::<Classified>();

/// The parser's programs in the kernel.
struct Kernel {
    ebpf: Ebpf,
    found: Array<aya::maps::MapData, [u8; SIZE]>,
}

impl Kernel {
    fn load() -> Kernel {
        let mut ebpf = object();
        for name in [names::CLASSIFY, names::CLASSIFY_RAW] {
            load(ebpf.program_mut(name).expect(name)).expect(name);
        }
        let found = Array::try_from(ebpf.take_map(names::CLASSIFIED).expect("map")).expect("array");
        Kernel { ebpf, found }
    }

    fn classify(&self, sample: &Sample) -> [u8; SIZE] {
        let name = if sample.link == Link::Raw { names::CLASSIFY_RAW } else { names::CLASSIFY };
        let options = TestRunOptions { data_in: Some(&sample.bytes), ..TestRunOptions::new() };
        test_run(self.ebpf.program(name).expect(name), options).unwrap_or_else(|e| panic!("{}: {e}", sample.from));
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

fn compare(kernel: &Kernel, sample: &Sample) {
    let expected = host(sample);
    if sample.bytes.len() < SHORTEST {
        return;
    }
    let found = kernel.classify(sample);
    let (from, bytes) = (&sample.from, &sample.bytes);
    assert_eq!(found, bytes_of(&expected), "{from}: user space says {expected:?}; bytes {bytes:02x?}");
}

#[test]
fn kernel_and_user_space_classify_the_same_bytes_alike() {
    let kernel = Kernel::load();
    let mut pool = crafted();
    pool.extend(captured());
    let mut signals = std::collections::BTreeMap::<(u8, u8), usize>::new();
    for sample in &pool {
        compare(&kernel, sample);
        let found = host(sample);
        *signals.entry((found.signal, found.gave_up)).or_default() += 1;
    }
    println!("{} frames as they are; by (signal, give-up + 1): {signals:?}", pool.len());

    let mut random = Random::seeded();
    let mutated = std::env::var("TATTLER_MUTATED").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATED);
    println!("{mutated} mutated frames");
    pool.retain(|sample| sample.bytes.len() >= SHORTEST);
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
