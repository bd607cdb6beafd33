//! Whether the kernel takes the programs, without attaching any.

use aya::programs::Program;
use aya::util::KernelVersion;
use sensor_common::names;

use super::error::missing;
use super::{Datapath, LoadError, Sizes};

/// Multi-buffer XDP programs came with 5.18; older kernels get the other one.
const MULTI_BUFFER: KernelVersion = KernelVersion::new(5, 18, 0);

/// Loads every program into maps of the smallest size, and drops them. Nothing is attached.
///
/// # Errors
/// What the kernel said to the first that it refused.
pub fn check() -> Result<(), LoadError> {
    let mut datapath = Datapath::load(Sizes { ring_bytes: 64 << 10, entries: 1_024 }, None, false)?;
    let old = KernelVersion::current().is_ok_and(|kernel| kernel < MULTI_BUFFER);
    for (name, program) in datapath.ebpf.programs_mut() {
        if old && name == names::INGRESS {
            continue;
        }
        match program {
            Program::Xdp(program) => program.load()?,
            Program::SchedClassifier(program) => program.load()?,
            _ => return Err(missing("XDP or TC program", name)),
        }
    }
    Ok(())
}
