//! The sensor changes and drops no packet, and programs of other tools still run. Runs as root.

use std::time::{Duration, Instant};

use aya::programs::{Program, TcAttachType, TestRunOptions};
use sensor_common::{Link, names};
use tempfile::TempDir;
use tests::frames::{Random, SHORTEST, Sample, captured, crafted};
use tests::kernel::{load, object_for, test_run, verdict};
use tests::namespace::Namespace;
use tests::others::Others;
use tests::sensor::Sensor;
use tests::traffic::Wire;

/// Mutated frames that each program runs.
const MUTATED: usize = 20_000;
/// Frames sent before they are received: a veth's queue holds 256.
const AT_ONCE: usize = 64;
/// The widest allowed home prefixes, so that many captured frames are contacts and probes.
const HOMES: [&str; 4] = ["2001::/16", "2002::/16", "2a00::/12", "3ffe::/16"];

/// Two namespaces and a wire between them, without traffic of their own.
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

    /// Sends frames in and out, and returns the received frames in order.
    fn cross(&self, frames: &[Vec<u8>]) -> [Vec<Vec<u8>>; 2] {
        let [net, wan] = &self.wires;
        [[net, wan], [wan, net]].map(|[from, to]| {
            let mut arrived = Vec::with_capacity(frames.len());
            for some in frames.chunks(AT_ONCE) {
                some.iter().for_each(|frame| from.send(frame));
                arrived.extend(to.receive(None, some.len()));
            }
            arrived
        })
    }
}

/// The frames with an Ethernet header, if they have more than that.
fn ethernet(samples: impl IntoIterator<Item = Sample>) -> Vec<Vec<u8>> {
    let is_long = |sample: &Sample| sample.link == Link::Ethernet && sample.bytes.len() > SHORTEST;
    samples.into_iter().filter(is_long).map(|sample| sample.bytes).collect()
}

#[test]
fn every_captured_frame_crosses_unchanged_in_every_mode() {
    let frames = ethernet(captured().into_iter().chain(crafted()));
    let quiet = Quiet::new();
    // A receiver gets a VLAN tag outside of the frame, so compare with the frames received without a sensor.
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
    // Half of the addresses are home.
    let mut ebpf = object_for([0; 16], 1);
    let pool: Vec<_> =
        captured().into_iter().chain(crafted()).filter(|sample| sample.bytes.len() >= SHORTEST).collect();
    let mut random = Random::seeded();
    for (name, program) in ebpf.programs_mut() {
        load(program).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut ran = 0;
        for run in 0..MUTATED {
            let mut sample = pool[random.below(pool.len())].clone();
            // Some stay as they are.
            if run % 8 > 0 {
                random.mutate(&mut sample);
            }
            let mut out = vec![0; sample.bytes.len() + 64];
            let options =
                TestRunOptions { data_in: Some(&sample.bytes), data_out: Some(&mut out), ..TestRunOptions::new() };
            let result = match (test_run(program, options), &*program) {
                // The kernel runs no TC program on a packet that ends within the IP header.
                (Err(_), Program::SchedClassifier(_)) if sample.bytes.len() < SHORTEST + 40 => continue,
                (result, _) => result,
            };
            let result =
                result.unwrap_or_else(|error| panic!("{name}, {}: {error:?}, {:02x?}", sample.from, sample.bytes));
            assert_eq!(result.return_value, verdict(program), "{name}, {}: {:02x?}", sample.from, sample.bytes);
            assert_eq!(out[..result.data_size_out as usize], sample.bytes, "{name}, {}", sample.from);
            ran += 1;
        }
        println!("{name}: {ran} frames");
        assert!(ran > MUTATED * 9 / 10);
    }
}

#[test]
fn programs_before_and_after_ours_see_the_same_packets() {
    let quiet = Quiet::new();
    let frames = ethernet(crafted());
    let homes = ["--interface", "wan0", "--listen", "", "--home", "2000::/12"];
    let ways = [(names::INGRESS_TC, TcAttachType::Ingress), (names::EGRESS, TcAttachType::Egress)];
    let mut seen = Vec::new();
    for with_sensor in [false, true] {
        let state = TempDir::new().unwrap();
        let [mut before, mut after, mut xdp] = [(); 3].map(|()| Others::load([0; 16], 1));
        xdp.attach_xdp(&quiet.inside, "wan0");
        for (name, way) in ways {
            before.attach_tc(&quiet.inside, "wan0", name, way);
        }
        let sensor = with_sensor.then(|| Sensor::start(&quiet.inside, state.path(), &homes));
        for (name, way) in ways {
            after.attach_tc(&quiet.inside, "wan0", name, way);
        }
        quiet.cross(&frames);
        if let Some(sensor) = sensor {
            // Another program is at XDP, so the sensor uses TC and logs why.
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
