//! The kernel programs by BPF_PROG_TEST_RUN, without an interface.

use aya::maps::{HashMap, LpmTrie, Map, MapData, PerCpuArray, PerCpuValues, RingBuf, lpm_trie::Key};
use aya::programs::{Program, ProgramError, ProgramInfo, TestRun, TestRunOptions, TestRunResult};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader, Pod};
use sensor_common::counters::{self, Fate};
use sensor_common::names;
use sensor_common::parse::Address;
use sensor_common::wire::{Event, What};

/// The object with its maps; no program is loaded yet.
pub fn object() -> Ebpf {
    EbpfLoader::new().load(sensor_user::datapath::object()).expect("create the maps, as root")
}

/// The object, with this prefix as home.
pub fn object_for(home: Address, length: u32) -> Ebpf {
    let mut ebpf = object();
    add_home(&mut ebpf, home, length, true);
    ebpf
}

fn add_home(ebpf: &mut Ebpf, prefix: Address, length: u32, is_home: bool) {
    let mut home: LpmTrie<_, Address, u8> = ebpf.map_mut(names::HOME).expect("home").try_into().expect("a trie");
    home.insert(&Key::new(length, prefix), u8::from(is_home), 0).expect("insert");
}

/// Loads a program, and returns what the kernel says of it.
pub fn load(program: &mut Program) -> Result<ProgramInfo, ProgramError> {
    match program {
        Program::Xdp(program) => program.load().and_then(|()| program.info()),
        Program::SchedClassifier(program) => program.load().and_then(|()| program.info()),
        _ => panic!("neither XDP nor TC"),
    }
}

/// Runs a program on a packet.
pub fn test_run(program: &Program, options: TestRunOptions<'_>) -> Result<TestRunResult, ProgramError> {
    match program {
        Program::Xdp(program) => program.test_run(options),
        Program::SchedClassifier(program) => program.test_run(options),
        _ => panic!("neither XDP nor TC"),
    }
}

/// The verdict of a program that only observes: XDP_PASS, or TC_ACT_UNSPEC, so that the next program decides.
pub fn verdict(program: &Program) -> u32 {
    if matches!(program, Program::Xdp(_)) { 2 } else { u32::MAX }
}

/// A counter of the object, the sum of all CPUs.
pub fn fate(ebpf: &Ebpf, what: What, fate: Fate) -> u64 {
    let counters: PerCpuArray<_, u64> = ebpf.map(names::COUNTERS).expect("counters").try_into().expect("array");
    counters.get(&counters::fate(what, fate), 0).expect("read").iter().sum()
}

/// The object with the programs for Ethernet loaded.
pub struct Kernel {
    /// The object.
    pub ebpf: Ebpf,
    /// The events.
    pub ring: RingBuf<MapData>,
}

impl Kernel {
    /// Loads the programs. Home is `home`/48, without the /64 `excluded`.
    pub fn load(home: Address, excluded: Address) -> Kernel {
        let mut ebpf = object_for(home, 48);
        add_home(&mut ebpf, excluded, 64, false);
        for name in [ingress(), names::EGRESS] {
            load(ebpf.program_mut(name).expect(name)).expect(name);
        }
        let ring = RingBuf::try_from(ebpf.take_map(names::EVENTS).expect("events")).expect("a ring");
        Kernel { ebpf, ring }
    }

    /// Sends a frame in or out and returns its events. Verdict and bytes must be those of an observer.
    pub fn run(&mut self, name: &str, frame: &[u8]) -> Vec<Event> {
        let mut out = vec![0; frame.len() + 64];
        let options = TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let program = self.ebpf.program(name).expect(name);
        let result = test_run(program, options).expect(name);
        assert_eq!(result.return_value, verdict(program));
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
    pub fn fate(&self, what: What, fate: Fate) -> u64 {
        crate::kernel::fate(&self.ebpf, what, fate)
    }

    /// Removes the entries of a map, as if they had been evicted.
    pub fn forget<K: Pod, V: Pod>(&mut self, name: &str) {
        let map: &mut Map = self.ebpf.map_mut(name).expect(name);
        let mut map: HashMap<_, K, V> = map.try_into().unwrap_or_else(|error| panic!("{name}: {error}"));
        let keys: Vec<K> = map.keys().collect::<Result<_, _>>().expect(name);
        for key in keys {
            map.remove(&key).expect(name);
        }
    }

    /// Removes all state but home and the counters.
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
pub fn ingress() -> &'static str {
    let has_frags = KernelVersion::current().is_ok_and(|kernel| kernel >= KernelVersion::new(5, 18, 0));
    if has_frags { names::INGRESS } else { names::INGRESS_LINEAR }
}
