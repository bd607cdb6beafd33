//! The kernel programs by BPF_PROG_TEST_RUN: no interface, no traffic.

use aya::programs::{Program, TestRun};
use aya::{Ebpf, EbpfLoader};
use sensor_common::names;

fn load() -> Ebpf {
    EbpfLoader::new().load(sensor_user::datapath::object()).expect("load the object; these tests run as root")
}

#[test]
fn every_program_loads() {
    let mut ebpf = load();
    for (name, program) in ebpf.programs_mut() {
        let result = match program {
            Program::Xdp(p) => p.load(),
            Program::SchedClassifier(p) => p.load(),
            _ => panic!("{name} is neither XDP nor TC"),
        };
        if let Err(e) = result {
            panic!("{name}: {e}");
        }
        let info = match program {
            Program::Xdp(p) => p.info(),
            Program::SchedClassifier(p) => p.info(),
            _ => unreachable!(),
        }
        .unwrap();
        println!(
            "{name}: verified {:?} translated {:?} jitted {}",
            info.verified_instruction_count(),
            info.size_translated(),
            info.size_jitted()
        );
    }
}
