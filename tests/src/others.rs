//! Programs that are not the sensor's: those of the object, with maps of their own, which count what they see.

use aya::Ebpf;
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use sensor_common::counters::Fate;
use sensor_common::names;
use sensor_common::parse::Address;
use sensor_common::wire::What;

use crate::kernel::{fate, object_for};
use crate::namespace::Namespace;

/// An object of another tool. Dropping it detaches its programs.
pub struct Others(pub Ebpf);

impl Others {
    /// Creates its maps, with this prefix as home.
    pub fn load(home: Address, length: u32) -> Others {
        Others(object_for(home, length))
    }

    /// Attaches its XDP program in the driver.
    pub fn attach_xdp(&mut self, namespace: &Namespace, device: &str) {
        let program: &mut Xdp = self.0.program_mut(names::INGRESS).unwrap().try_into().unwrap();
        program.load().unwrap();
        namespace.inside(|| program.attach(device, XdpMode::Driver)).unwrap();
    }

    /// Attaches a TC program.
    pub fn attach_tc(&mut self, namespace: &Namespace, device: &str, name: &str, way: TcAttachType) {
        let program: &mut SchedClassifier = self.0.program_mut(name).unwrap().try_into().unwrap();
        program.load().unwrap();
        namespace.inside(|| program.attach(device, way)).unwrap();
    }

    /// The probes and contacts that it saw.
    pub fn saw(&self) -> [u64; 2] {
        [What::Probe, What::Contact].map(|what| fate(&self.0, what, Fate::Matched))
    }
}
