//! This kernel's verifier accepts all programs that it can support.

use aya::programs::ProgramError;
use sensor_common::names;
use tests::kernel;

use crate::machine;

/// Loads each program of the object; returns the number of instructions that the verifier processed.
pub fn load() -> String {
    let mut ebpf = kernel::object();
    let has_frags = machine::version() >= (5, 18);
    let mut said = Vec::new();
    let mut programs: Vec<_> = ebpf.programs_mut().collect();
    programs.sort_by_key(|(name, _)| (*name).to_owned());
    for (name, program) in programs {
        let loaded = kernel::load(program);
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
