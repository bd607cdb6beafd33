//! The kernel programs by BPF_PROG_TEST_RUN: no interface.

use aya::maps::{HashMap, LpmTrie, Map, MapData, PerCpuArray, PerCpuValues, RingBuf, lpm_trie::Key};
use aya::programs::{Program, TestRun, TestRunOptions};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader, Pod};
use sensor_common::counters::{self, Fate};
use sensor_common::names;
use sensor_common::parse::Address;
use sensor_common::wire::{Event, What};

const XDP_PASS: u32 = 2;
/// TC_ACT_UNSPEC: the next program decides.
const TC_UNSPEC: u32 = u32::MAX;

/// The object with the programs for Ethernet loaded.
pub struct Kernel {
    /// The object.
    pub ebpf: Ebpf,
    /// The events.
    pub ring: RingBuf<MapData>,
}

impl Kernel {
    /// Loads the programs. Home is `home`/48, without the /64 `excluded`.
    ///
    /// # Panics
    /// When the kernel refuses the programs.
    #[must_use]
    pub fn load(home: Address, excluded: Address) -> Kernel {
        let mut ebpf = EbpfLoader::new().load(sensor_user::datapath::object()).expect("load the object, as root");
        for name in [ingress(), names::EGRESS] {
            match ebpf.program_mut(name).expect(name) {
                Program::Xdp(program) => program.load().expect(name),
                Program::SchedClassifier(program) => program.load().expect(name),
                _ => panic!("{name} is neither XDP nor TC"),
            }
        }
        let mut trie: LpmTrie<_, Address, u8> = ebpf.map_mut(names::HOME).expect("home").try_into().expect("a trie");
        trie.insert(&Key::new(48, home), 1, 0).expect("insert");
        trie.insert(&Key::new(64, excluded), 0, 0).expect("insert");
        let ring = RingBuf::try_from(ebpf.take_map(names::EVENTS).expect("events")).expect("a ring");
        Kernel { ebpf, ring }
    }

    /// Sends a frame in or out and returns its events. Verdict and bytes must be those of an observer.
    ///
    /// # Panics
    /// When they are not.
    pub fn run(&mut self, name: &str, frame: &[u8]) -> Vec<Event> {
        let mut out = vec![0; frame.len() + 64];
        let options = TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let (result, verdict) = match self.ebpf.program(name).expect(name) {
            Program::Xdp(program) => (program.test_run(options), XDP_PASS),
            Program::SchedClassifier(program) => (program.test_run(options), TC_UNSPEC),
            _ => unreachable!(),
        };
        let result = result.expect(name);
        assert_eq!(result.return_value, verdict);
        assert_eq!(&out[..result.data_size_out as usize], frame, "the packet was changed");
        std::iter::from_fn(|| self.ring.next().and_then(|record| Event::decode(&record))).collect()
    }

    /// Sends a frame in.
    pub fn ingress(&mut self, frame: &[u8]) -> Vec<Event> {
        self.run(ingress(), frame)
    }

    /// Sends a frame out.
    pub fn egress(&mut self, frame: &[u8]) -> Vec<Event> {
        self.run(names::EGRESS, frame)
    }

    /// A counter, the sum of all CPUs.
    ///
    /// # Panics
    /// When the map can't be read.
    #[must_use]
    pub fn fate(&self, what: What, fate: Fate) -> u64 {
        let counters: PerCpuArray<_, u64> =
            self.ebpf.map(names::COUNTERS).expect("counters").try_into().expect("array");
        counters.get(&counters::fate(what, fate), 0).expect("read").iter().sum()
    }

    /// Removes the entries of a map, as if they had been evicted.
    ///
    /// # Panics
    /// When the map has other keys or values.
    pub fn forget<K: Pod, V: Pod>(&mut self, name: &str) {
        let map: &mut Map = self.ebpf.map_mut(name).expect(name);
        let mut map: HashMap<_, K, V> = map.try_into().unwrap_or_else(|error| panic!("{name}: {error}"));
        let keys: Vec<K> = map.keys().collect::<Result<_, _>>().expect(name);
        for key in keys {
            map.remove(&key).expect(name);
        }
    }

    /// Removes all state but home and the counters.
    ///
    /// # Panics
    /// When a map has other keys or values.
    pub fn forget_all(&mut self) {
        self.forget::<[u8; 40], [u8; 16]>(names::FLOWS);
        self.forget::<[u8; 40], [u8; 16]>(names::INBOUND);
        self.forget::<[u8; 20], [u8; 8]>(names::PORTS);
        self.forget::<[u8; 32], [u8; 24]>(names::PAIRS);
        self.forget::<[u8; 36], [u8; 32]>(names::REPEATS);
        self.forget::<[u8; 16], [u8; 8]>(names::LOCALS);
        let budgets = self.ebpf.map_mut(names::BUDGETS).expect("budgets");
        let mut budgets: PerCpuArray<_, [u64; 2]> = budgets.try_into().expect("array");
        let cpus = aya::util::nr_cpus().expect("the number of CPUs");
        let full = PerCpuValues::try_from(vec![[0; 2]; cpus]).expect("one for each CPU");
        budgets.set(0, full, 0).expect("write");
    }
}

/// The program for Ethernet devices: before 5.18 the one without multi-buffer packets. `cargo xtask vm` runs
/// these tests on such kernels.
#[must_use]
pub fn ingress() -> &'static str {
    let has_frags = KernelVersion::current().is_ok_and(|kernel| kernel >= KernelVersion::new(5, 18, 0));
    if has_frags { names::INGRESS } else { names::INGRESS_LINEAR }
}
