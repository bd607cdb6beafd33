//! This kernel's verifier accepts all programs that it can support.

use aya::EbpfLoader;
use aya::programs::{Program, ProgramError};
use sensor_common::names;

use crate::machine;

/// Loads each program of the object; returns the number of instructions that the verifier processed.
pub fn load() -> String {
    let mut ebpf = EbpfLoader::new().load(sensor_user::datapath::object()).expect("create the maps");
    let has_frags = machine::version() >= (5, 18);
    let mut said = Vec::new();
    let mut programs: Vec<_> = ebpf.programs_mut().collect();
    programs.sort_by_key(|(name, _)| (*name).to_owned());
    for (name, program) in programs {
        let loaded = match program {
            Program::Xdp(program) => program.load().and_then(|()| program.info()),
            Program::SchedClassifier(program) => program.load().and_then(|()| program.info()),
            _ => panic!("{name} is neither XDP nor TC"),
        };
        if name == names::INGRESS && !has_frags {
            let refused = loaded.err().unwrap_or_else(|| panic!("{name} loads on a kernel without multi-buffer XDP"));
            assert!(matches!(refused, ProgramError::LoadError { .. }), "{name}: {refused}");
            said.push(format!("{name} refused as it must"));
            continue;
        }
        let info = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        match info.verified_instruction_count() {
            Some(count) => said.push(format!("{name} {count}")),
            // Known since 5.16.
            None => said.push(format!("{name} loads")),
        }
    }
    said.join(", ")
}
