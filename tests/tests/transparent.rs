//! No packet is changed, none is dropped, and nobody else's program is kept from running. Runs as root.

use std::time::{Duration, Instant};

use aya::EbpfLoader;
use aya::maps::{LpmTrie, lpm_trie::Key};
use aya::programs::{Program, SchedClassifier, TcAttachType, TestRun, TestRunOptions, Xdp, XdpMode};
use sensor_common::{Link, names};
use tempfile::TempDir;
use tests::frames::{Random, SHORTEST, captured, crafted};
use tests::namespace::Namespace;
use tests::sensor::Sensor;
use tests::traffic::Wire;

/// XDP_PASS.
const PASS: u32 = 2;
/// TC_ACT_UNSPEC: the next program decides.
const GO_ON: u32 = u32::MAX;
/// Mutated frames that each program runs.
const MUTATED: usize = 20_000;
/// Frames on their way at once: a veth's queue holds 256.
const AT_ONCE: usize = 64;
/// What is ours, as wide as it may be said: of captured frames many are contacts and probes then.
const HOMES: [&str; 4] = ["2001::/16", "2002::/16", "2a00::/12", "3ffe::/16"];

/// Two stations with a wire between them, on which nobody speaks by himself.
struct Quiet {
    inside: Namespace,
    _outside: Namespace,
    wires: [Wire; 2],
}

impl Quiet {
    fn new() -> Quiet {
        let (inside, outside) = (Namespace::new("in"), Namespace::new("out"));
        for namespace in [&inside, &outside] {
            namespace.set("ipv6/conf/default/disable_ipv6", "1");
        }
        inside.link("wan0", &outside, "net0");
        for (namespace, device) in [(&inside, "wan0"), (&outside, "net0")] {
            namespace.ip(&format!("link set {device} mtu 9000 promisc on"));
        }
        let wires = [Wire::open(&outside, "net0"), Wire::open(&inside, "wan0")];
        Quiet { inside, _outside: outside, wires }
    }

    /// Sends frames in and out, and gives what arrived, in order.
    fn cross(&self, frames: &[Vec<u8>]) -> [Vec<Vec<u8>>; 2] {
        let [net, wan] = &self.wires;
        [[net, wan], [wan, net]].map(|[from, to]| {
            let mut arrived = Vec::with_capacity(frames.len());
            for some in frames.chunks(AT_ONCE) {
                some.iter().for_each(|frame| from.send(frame));
                arrived.extend(to.arrivals(some.len()));
            }
            arrived
        })
    }
}

#[test]
fn every_captured_frame_crosses_unchanged_in_every_mode() {
    let mut frames: Vec<_> =
        captured().into_iter().chain(crafted()).filter(|sample| sample.link == Link::Ethernet).collect();
    frames.retain(|sample| sample.bytes.len() > SHORTEST);
    let frames: Vec<Vec<u8>> = frames.into_iter().map(|sample| sample.bytes).collect();
    let quiet = Quiet::new();
    // Of a frame with a VLAN tag a receiver finds the tag beside it; so what arrives without a sensor counts.
    let alone = quiet.cross(&frames);
    assert_eq!(alone.each_ref().map(Vec::len), [frames.len(); 2]);
    let homes = HOMES.iter().flat_map(|home| ["--home", home]);
    let usual: Vec<&str> = ["--interface", "wan0", "--listen", ""].into_iter().chain(homes).collect();
    for mode in ["native", "generic", "tc"] {
        let state = TempDir::new().unwrap();
        let started = Instant::now();
        let sensor = Sensor::start(&quiet.inside, state.path(), &[&usual[..], &["--attach", mode]].concat());
        assert_eq!(sensor.status()["uplinks"][0]["mode"], mode);
        let watched = quiet.cross(&frames);
        for (way, (watched, alone)) in ["in", "out"].iter().zip(watched.iter().zip(&alone)) {
            let differs = watched.iter().zip(alone).position(|(watched, alone)| watched != alone);
            assert_eq!(differs, None, "{mode}, {way}: frame {:02x?}", differs.map(|at| &frames[at]));
            assert_eq!(watched.len(), alone.len());
        }
        std::thread::sleep(Duration::from_millis(1_200));
        let [probes, contacts] = ["probe", "contact"].map(|what| sensor.fates(what)[0]);
        assert!(probes > 20 && contacts > 20, "{mode}: {probes} probes, {contacts} contacts");
        println!(
            "{mode}: {} frames each way, {probes} probes, {contacts} contacts, {:.1} s",
            frames.len(),
            started.elapsed().as_secs_f64()
        );
        sensor.stop();
    }
}

#[test]
fn every_program_passes_every_mutated_frame_unchanged() {
    let mut ebpf = EbpfLoader::new().load(sensor_user::datapath::object()).expect("load the object, as root");
    let mut home: LpmTrie<_, [u8; 16], u8> = ebpf.map_mut(names::HOME).unwrap().try_into().unwrap();
    // All is ours, or nothing of it is: half of the addresses.
    home.insert(&Key::new(1, [0; 16]), 1, 0).unwrap();
    let pool: Vec<_> =
        captured().into_iter().chain(crafted()).filter(|sample| sample.bytes.len() >= SHORTEST).collect();
    let mut random = Random::seeded();
    for (name, program) in ebpf.programs_mut() {
        let go_on = match &mut *program {
            Program::Xdp(program) => program.load().map(|()| PASS),
            Program::SchedClassifier(program) => program.load().map(|()| GO_ON),
            _ => panic!("{name} is neither XDP nor TC"),
        };
        let go_on = go_on.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut ran = 0;
        for run in 0..MUTATED {
            let mut sample = pool[random.below(pool.len())].clone();
            // Some as they are.
            if run % 8 > 0 {
                random.mutate(&mut sample);
            }
            let mut out = vec![0; sample.bytes.len() + 64];
            let options =
                TestRunOptions { data_in: Some(&sample.bytes), data_out: Some(&mut out), ..TestRunOptions::new() };
            let result = match &*program {
                Program::Xdp(program) => program.test_run(options),
                // By TC the kernel runs no packet that ends within the IP header.
                Program::SchedClassifier(program) => match program.test_run(options) {
                    Err(_) if sample.bytes.len() < SHORTEST + 40 => continue,
                    result => result,
                },
                _ => unreachable!(),
            };
            let result =
                result.unwrap_or_else(|error| panic!("{name}, {}: {error:?}, {:02x?}", sample.from, sample.bytes));
            assert_eq!(result.return_value, go_on, "{name}, {}: {:02x?}", sample.from, sample.bytes);
            assert_eq!(out[..result.data_size_out as usize], sample.bytes, "{name}, {}", sample.from);
            ran += 1;
        }
        println!("{name}: {ran} frames");
        assert!(ran > MUTATED * 9 / 10);
    }
}

/// Programs of somebody else: those of the object with maps of their own, which count what they see.
struct Others {
    ebpf: aya::Ebpf,
}

impl Others {
    fn load() -> Others {
        let mut ebpf = EbpfLoader::new().load(sensor_user::datapath::object()).expect("load the object, as root");
        let mut home: LpmTrie<_, [u8; 16], u8> = ebpf.map_mut(names::HOME).unwrap().try_into().unwrap();
        home.insert(&Key::new(1, [0; 16]), 1, 0).unwrap();
        Others { ebpf }
    }

    fn xdp(&mut self, namespace: &Namespace) {
        let program: &mut Xdp = self.ebpf.program_mut(names::INGRESS).unwrap().try_into().unwrap();
        program.load().unwrap();
        namespace.inside(|| program.attach("wan0", XdpMode::Driver)).unwrap();
    }

    fn tc(&mut self, namespace: &Namespace, name: &str, way: TcAttachType) {
        let program: &mut SchedClassifier = self.ebpf.program_mut(name).unwrap().try_into().unwrap();
        program.load().unwrap();
        namespace.inside(|| program.attach("wan0", way)).unwrap();
    }

    /// Probes and contacts that they saw.
    fn saw(&self) -> [u64; 2] {
        use sensor_common::counters::{Fate, fate};
        use sensor_common::wire::What;
        let counters: aya::maps::PerCpuArray<_, u64> = self.ebpf.map(names::COUNTERS).unwrap().try_into().unwrap();
        [What::Probe, What::Contact].map(|what| counters.get(&fate(what, Fate::Matched), 0).unwrap().iter().sum())
    }
}

#[test]
fn programs_before_and_after_ours_see_the_same_packets() {
    let quiet = Quiet::new();
    let frames: Vec<Vec<u8>> =
        crafted().into_iter().filter(|sample| sample.link == Link::Ethernet).map(|sample| sample.bytes).collect();
    let homes = ["--interface", "wan0", "--listen", "", "--home", "2000::/12"];
    let mut seen = Vec::new();
    for with_sensor in [false, true] {
        let state = TempDir::new().unwrap();
        let (mut before, mut after, mut xdp) = (Others::load(), Others::load(), Others::load());
        xdp.xdp(&quiet.inside);
        for (name, way) in [(names::INGRESS_TC, TcAttachType::Ingress), (names::EGRESS, TcAttachType::Egress)] {
            before.tc(&quiet.inside, name, way);
        }
        let sensor = with_sensor.then(|| Sensor::start(&quiet.inside, state.path(), &homes));
        for (name, way) in [(names::INGRESS_TC, TcAttachType::Ingress), (names::EGRESS, TcAttachType::Egress)] {
            after.tc(&quiet.inside, name, way);
        }
        quiet.cross(&frames);
        if let Some(sensor) = sensor {
            // Its place at XDP is taken: it goes by TC, and says why.
            assert_eq!(sensor.status()["uplinks"][0]["mode"], "tc");
            assert!(sensor.log().contains("another XDP program"), "{}", sensor.log());
            sensor.stop();
        }
        seen.push([xdp.saw(), before.saw(), after.saw()]);
    }
    println!("XDP, TC before, TC behind; probes and contacts: {seen:?}");
    assert!(seen[0].iter().all(|saw| saw[0] > 10), "{seen:?}");
    assert_eq!(seen[0], seen[1]);
}
