//! Attaching the programs to devices.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::programs::tc::{NlOptions, TcAttachOptions, TcError, qdisc_add_clsact, qdisc_detach_program};
use aya::programs::{LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::util::KernelVersion;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use sensor_common::{Link, names};
use tattler_core::home::NetworkDevice;

use super::error::{errno, missing, one_line};
use super::held::Held;
use super::pins::{self, Pins};
use super::{AttachError, Datapath, LoadError, Sizes};

/// How the ingress program is attached, as the kernel accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// XDP in the driver.
    Native,
    /// XDP in the network stack, after the driver.
    Generic,
    /// TC at ingress, after XDP programs of others.
    Tc,
}

impl Mode {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Generic => "generic",
            Mode::Tc => "tc",
        }
    }

    fn from_name(name: &str) -> Option<Mode> {
        [Mode::Native, Mode::Generic, Mode::Tc].into_iter().find(|mode| mode.as_str() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of attaching to a device.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The device.
    pub device: NetworkDevice,
    /// How ingress is attached.
    pub mode: Mode,
    /// Why ingress is not attached in the driver.
    pub not_native: Option<String>,
    /// Taken over from an earlier run of the sensor, without a gap in the watch.
    pub adopted: bool,
}

/// How long the kernel may take to detach a program after its pin is removed.
pub(super) const LETS_GO_WITHIN: Duration = Duration::from_secs(1);

/// The attached programs of a device.
pub(super) struct AttachedPrograms {
    pub(super) index: u32,
    pub(super) ingress: Held,
    pub(super) egress: Held,
    /// Whether ingress and egress were taken over from an earlier run.
    pub(super) adopted: (bool, bool),
}

impl Datapath {
    /// Attaches to a device at ingress and egress. Ingress is XDP in the driver if possible, else generic XDP, else TC;
    /// or the mode that is asked for. Programs of an earlier run are taken over without a gap.
    ///
    /// # Errors
    /// Nothing is attached then.
    pub fn attach(&mut self, device: &NetworkDevice, asked: Option<Mode>) -> Result<Attachment, AttachError> {
        if self.attachments.iter().any(|attached| attached.index == device.index) {
            return Err(AttachError::Twice(device.name.clone()));
        }
        let link = device.link().ok_or_else(|| AttachError::Type { name: device.name.clone(), kind: device.kind })?;
        let mut attacher = Attacher { ebpf: &mut self.ebpf, pins: self.pins.as_ref(), device };
        let was_there = attacher.find("in").is_some();
        let adopted = attacher.adopt_ingress(link, asked);
        let ingress_adopted = adopted.is_some();
        let (ingress, mode, not_native) = match adopted {
            Some((held, mode)) => (held, mode, None),
            None => {
                let patience = if was_there { LETS_GO_WITHIN } else { Duration::ZERO };
                attacher.attach_ingress(link, asked, Instant::now() + patience)?
            }
        };
        let name = if link == Link::Raw { names::EGRESS_RAW } else { names::EGRESS };
        let adopted = attacher.adopt_classifier(TcAttachType::Egress, name);
        let adopted_each = (ingress_adopted, adopted.is_some());
        let egress = match adopted {
            Some(held) => Ok(held),
            None => attacher.attach_classifier(TcAttachType::Egress, name),
        };
        match egress {
            Ok(egress) => {
                self.attachments.push(AttachedPrograms { index: device.index, ingress, egress, adopted: adopted_each });
                let adopted = adopted_each == (true, true);
                Ok(Attachment { device: device.clone(), mode, not_native, adopted })
            }
            Err(error) => {
                ingress.let_go(false);
                Err(error)
            }
        }
    }

    /// Detaches from a device. If the device was deleted, there is nothing to detach.
    pub fn detach(&mut self, index: u32) {
        let Some(at) = self.attachments.iter().position(|attached| attached.index == index) else { return };
        let attached = self.attachments.swap_remove(at);
        attached.ingress.let_go(false);
        attached.egress.let_go(false);
    }
}

type Ingress = (Held, Mode, Option<String>);

/// A way to see inbound packets: a program and its mode.
type Rung = (&'static str, Mode);

/// In the order of attempts: in the driver for multi-buffer packets, in the driver, generic, TC.
const ETHERNET: &[Rung] = &[
    (names::INGRESS, Mode::Native),
    (names::INGRESS_LINEAR, Mode::Native),
    (names::INGRESS_LINEAR, Mode::Generic),
    (names::INGRESS_TC, Mode::Tc),
];
/// Drivers of such devices do not support XDP.
const RAW: &[Rung] = &[(names::INGRESS_RAW, Mode::Generic), (names::INGRESS_TC_RAW, Mode::Tc)];

const fn ladder(link: Link) -> &'static [Rung] {
    match link {
        Link::Raw => RAW,
        _ => ETHERNET,
    }
}

/// Attaches programs to one device.
pub(super) struct Attacher<'a> {
    pub(super) ebpf: &'a mut Ebpf,
    pub(super) pins: Option<&'a Pins>,
    pub(super) device: &'a NetworkDevice,
}

impl Attacher<'_> {
    /// Takes over the ingress program of an earlier run, if it has the mode that is asked for.
    fn adopt_ingress(&mut self, link: Link, asked: Option<Mode>) -> Option<(Held, Mode)> {
        let found = self.find("in")?;
        let mode = Mode::from_name(&found.mode).unwrap_or(Mode::Tc);
        let rung = ladder(link).iter().find(|rung| rung.0 == found.program && rung.1 == mode);
        let Some(&(program, _)) = rung.filter(|_| asked.is_none_or(|asked| asked == mode)) else {
            // It would block the new program.
            Held::remove(self.pins?, &found);
            return None;
        };
        let held = match mode {
            Mode::Tc => self.adopt_classifier(TcAttachType::Ingress, program),
            _ => self.adopt_xdp(program),
        };
        held.map(|held| (held, mode))
    }

    /// Attaches the first program that the kernel accepts. Until the deadline, a busy hook may still be the one that
    /// was just released.
    fn attach_ingress(&mut self, link: Link, asked: Option<Mode>, deadline: Instant) -> Result<Ingress, AttachError> {
        let mut reason = None;
        let mut failed = None;
        for &(name, mode) in ladder(link).iter().filter(|rung| asked.is_none_or(|asked| asked == rung.1)) {
            let error = loop {
                match self.attach_at(name, mode) {
                    Ok(held) => return Ok((held, mode, reason)),
                    Err(AttachError::Busy { .. }) if Instant::now() < deadline => sleep(Duration::from_millis(20)),
                    Err(error) => break error,
                }
            };
            let is_tattlers = matches!(error, AttachError::Busy { pins: Some(_), .. });
            if is_tattlers || matches!(error, AttachError::Load(LoadError::Permission)) {
                return Err(error);
            }
            // The reason why it is not in the driver, or why it is not XDP at all.
            if mode == Mode::Native || matches!(error, AttachError::Busy { .. }) {
                reason = Some(error.to_string());
            }
            failed = Some(error);
        }
        Err(failed.unwrap_or_else(|| AttachError::NoSuchMode(self.device.name.clone())))
    }

    fn attach_at(&mut self, name: &'static str, mode: Mode) -> Result<Held, AttachError> {
        let xdp_mode = match mode {
            Mode::Native => XdpMode::Driver,
            Mode::Generic => XdpMode::Skb,
            Mode::Tc => return self.attach_classifier(TcAttachType::Ingress, name),
        };
        // Before 5.18 this fails for the multi-buffer program, and the next one is tried.
        load(self.ebpf, name)?;
        let program = xdp(self.ebpf, name)?;
        let attached = program.attach_to_if_index(self.device.index, xdp_mode).and_then(|id| program.take_link(id));
        match attached {
            Ok(link) => self.hold_xdp(link, name, mode.as_str()),
            Err(error) if mode == Mode::Native && errno(&error) == Some(libc::EOPNOTSUPP) => {
                let reason = "its driver has no XDP, or not with its present settings".to_owned();
                Err(AttachError::Other { program: name, name: self.device.name.clone(), reason })
            }
            Err(error) => Err(attach_error(name, self.device, error)),
        }
    }

    fn attach_classifier(&mut self, way: TcAttachType, name: &'static str) -> Result<Held, AttachError> {
        let device = self.device;
        load(self.ebpf, name)?;
        // First in the chain, since an earlier program that ends the chain would hide packets. Filters of older kernels
        // come first by default: the kernel gives new ones a lower priority number.
        let mut order = TcAttachOptions::TcxOrder(LinkOrder::first());
        // Before tcx (6.6), filters need a qdisc, which may exist already.
        if KernelVersion::current().is_ok_and(|kernel| kernel < KernelVersion::new(6, 6, 0)) {
            match qdisc_add_clsact(&device.name) {
                Ok(()) => {}
                Err(error @ TcError::NetlinkError(_)) if errno(&error) == Some(libc::EEXIST) => {}
                Err(error) => return Err(attach_error(name, device, error.into())),
            }
            // Removes a filter of a sensor that was killed before it could pin it, unless another sensor uses the
            // device.
            if pins::of_device(device.index).is_none_or(|found| self.pins.is_some_and(|pins| pins.is_at(&found))) {
                let _ = qdisc_detach_program(&device.name, way, name);
            }
            order = TcAttachOptions::Netlink(NlOptions::default());
        }
        let program = classifier(self.ebpf, name)?;
        let link = program
            .attach_with_options(&device.name, way, order)
            .and_then(|id| program.take_link(id))
            .map_err(|error| attach_error(name, device, error))?;
        // TC attaches by name, and the name may belong to another device now.
        if index(&device.name) != Some(device.index) {
            return Err(AttachError::NoInterface(device.name.clone()));
        }
        self.hold_classifier(link, name, way)
    }
}

/// The index of a device by its name.
fn index(name: &str) -> Option<u32> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    name_to_index(&socket, name).ok()
}

fn attach_error(program: &'static str, device: &NetworkDevice, error: ProgramError) -> AttachError {
    let name = device.name.clone();
    match errno(&error) {
        // EEXIST: another program is attached in the driver and this one is generic, or vice versa.
        Some(libc::EBUSY | libc::EEXIST) => AttachError::Busy { program, name, pins: pins::of_device(device.index) },
        Some(libc::EPERM) => AttachError::Load(LoadError::Permission),
        Some(libc::ENODEV) => AttachError::NoInterface(name),
        _ => AttachError::Other { program, name, reason: one_line(&error) },
    }
}

/// Loads every program into maps of the smallest size, without attaching it.
///
/// # Errors
/// The kernel refused a program.
pub fn check() -> Result<(), LoadError> {
    let mut datapath = Datapath::load(Sizes { ring_bytes: 64 << 10, entries: 1_024 }, None, false)?;
    // Multi-buffer XDP programs came with 5.18. Older kernels use the other program.
    let is_old = KernelVersion::current().is_ok_and(|kernel| kernel < KernelVersion::new(5, 18, 0));
    let mut programs = datapath.ebpf.programs_mut();
    programs.try_for_each(
        |(name, program)| if is_old && name == names::INGRESS { Ok(()) } else { load_program(program, name) },
    )
}

/// Loads a program unless it is loaded.
pub(super) fn load(ebpf: &mut Ebpf, name: &'static str) -> Result<(), LoadError> {
    load_program(ebpf.program_mut(name).ok_or_else(|| missing("program", name))?, name)
}

fn load_program(program: &mut Program, name: &str) -> Result<(), LoadError> {
    let result = match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        _ => return Err(missing("XDP or TC program", name)),
    };
    match result {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn xdp<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, LoadError> {
    match ebpf.program_mut(name) {
        Some(Program::Xdp(program)) => Ok(program),
        _ => Err(missing("XDP program", name)),
    }
}

pub(super) fn classifier<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier, LoadError> {
    match ebpf.program_mut(name) {
        Some(Program::SchedClassifier(program)) => Ok(program),
        _ => Err(missing("TC program", name)),
    }
}
