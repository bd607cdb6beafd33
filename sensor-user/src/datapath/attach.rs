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
use super::{AttachError, Datapath, LoadError};

/// How the ingress program is attached. Known from what the kernel accepted, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// XDP in the driver.
    Native,
    /// XDP in the network stack, behind the driver.
    Generic,
    /// TC at ingress, behind XDP programs of others.
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

/// What was attached to a device.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The device.
    pub device: NetworkDevice,
    /// How ingress is attached.
    pub mode: Mode,
    /// Why it is not attached in the driver, where it is not.
    pub not_native: Option<String>,
    /// Taken over from an earlier life of the sensor: it was watched all the time.
    pub adopted: bool,
}

/// How long the kernel may take to detach what was unpinned.
pub(super) const LETS_GO_WITHIN: Duration = Duration::from_secs(1);

/// What must be undone.
pub(super) struct Attached {
    pub(super) index: u32,
    pub(super) ingress: Held,
    pub(super) egress: Held,
    /// Whether an earlier run had left each of the two.
    pub(super) adopted: (bool, bool),
}

impl Datapath {
    /// Watches a device at ingress and at egress. Ingress: XDP in the driver if that can be, else generic,
    /// else TC; or the one that is asked for. What an earlier life left there is taken over without a gap.
    ///
    /// # Errors
    /// One that names the device; nothing is left attached then.
    pub fn attach(&mut self, device: &NetworkDevice, asked: Option<Mode>) -> Result<Attachment, AttachError> {
        if self.attachments.iter().any(|attached| attached.index == device.index) {
            return Err(AttachError::Twice(device.name.clone()));
        }
        let link = device.link().ok_or_else(|| AttachError::Type { name: device.name.clone(), kind: device.kind })?;
        let (ebpf, pins) = (&mut self.ebpf, self.pins.as_ref());
        let was_there = pins.is_some_and(|pins| pins.find(device.index, "in").is_some());
        let adopted = pins.and_then(|pins| adopt_ingress(ebpf, pins, device, link, asked));
        let ingress_adopted = adopted.is_some();
        let (ingress, mode, not_native) = match adopted {
            Some((held, mode)) => (held, mode, None),
            None => {
                let patience = if was_there { LETS_GO_WITHIN } else { Duration::ZERO };
                attach_ingress(ebpf, device, link, pins, (asked, Instant::now() + patience))?
            }
        };
        let name = if link == Link::Raw { names::EGRESS_RAW } else { names::EGRESS };
        let way = TcAttachType::Egress;
        let adopted = pins.and_then(|pins| Held::adopt_classifier(ebpf, pins, device, way, name));
        let adopted_each = (ingress_adopted, adopted.is_some());
        let egress = match adopted {
            Some(held) => Ok(held),
            None => attach_classifier(ebpf, device, way, name, pins),
        };
        match egress {
            Ok(egress) => {
                self.attachments.push(Attached { index: device.index, ingress, egress, adopted: adopted_each });
                let adopted = adopted_each == (true, true);
                Ok(Attachment { device: device.clone(), mode, not_native, adopted })
            }
            Err(error) => {
                ingress.let_go(false);
                Err(error)
            }
        }
    }

    /// Stops watching a device; one that is gone has nothing left to detach.
    pub fn detach(&mut self, index: u32) {
        let Some(at) = self.attachments.iter().position(|attached| attached.index == index) else { return };
        let attached = self.attachments.swap_remove(at);
        attached.ingress.let_go(false);
        attached.egress.let_go(false);
    }
}

type Ingress = (Held, Mode, Option<String>);

/// A way to see what comes in: a program, and how it is attached.
type Rung = (&'static str, Mode);

/// In the order in which they are tried. Multi-buffer packets in the driver, linear ones there, generic, TC.
const ETHERNET: &[Rung] = &[
    (names::INGRESS, Mode::Native),
    (names::INGRESS_LINEAR, Mode::Native),
    (names::INGRESS_LINEAR, Mode::Generic),
    (names::INGRESS_TC, Mode::Tc),
];
/// No driver of such a device takes XDP.
const RAW: &[Rung] = &[(names::INGRESS_RAW, Mode::Generic), (names::INGRESS_TC_RAW, Mode::Tc)];

const fn ladder(link: Link) -> &'static [Rung] {
    match link {
        Link::Raw => RAW,
        _ => ETHERNET,
    }
}

/// Takes over what an earlier life left at ingress, if it is of the mode that is asked for.
fn adopt_ingress(
    ebpf: &mut Ebpf,
    pins: &Pins,
    device: &NetworkDevice,
    link: Link,
    asked: Option<Mode>,
) -> Option<(Held, Mode)> {
    let found = pins.find(device.index, "in")?;
    let mode = Mode::from_name(&found.mode).unwrap_or(Mode::Tc);
    let rung = ladder(link).iter().find(|rung| rung.0 == found.program && rung.1 == mode);
    let Some(&(program, _)) = rung.filter(|_| asked.is_none_or(|asked| asked == mode)) else {
        // It would be in the way.
        Held::remove(pins, &found);
        return None;
    };
    let held = match mode {
        Mode::Tc => Held::adopt_classifier(ebpf, pins, device, TcAttachType::Ingress, program),
        _ => Held::adopt_xdp(ebpf, pins, device, program),
    };
    held.map(|held| (held, mode))
}

/// The first rung that the kernel takes, of those that are asked for. A place that is taken may be the one
/// that was just let go, until a deadline.
fn attach_ingress(
    ebpf: &mut Ebpf,
    device: &NetworkDevice,
    link: Link,
    pins: Option<&Pins>,
    (asked, deadline): (Option<Mode>, Instant),
) -> Result<Ingress, AttachError> {
    let mut reason = None;
    let mut failed = None;
    for &(name, mode) in ladder(link).iter().filter(|rung| asked.is_none_or(|asked| asked == rung.1)) {
        let error = loop {
            match attach_at(ebpf, device, name, mode, pins) {
                Ok(held) => return Ok((held, mode, reason)),
                Err(AttachError::Busy { .. }) if Instant::now() < deadline => sleep(Duration::from_millis(20)),
                Err(error) => break error,
            }
        };
        let is_tattlers = matches!(error, AttachError::Busy { pins: Some(_), .. });
        if is_tattlers || matches!(error, AttachError::Load(LoadError::Permission)) {
            return Err(error);
        }
        // Why it is not in the driver; and if it is not XDP at all, why that.
        if mode == Mode::Native || matches!(error, AttachError::Busy { .. }) {
            reason = Some(error.to_string());
        }
        failed = Some(error);
    }
    Err(failed.unwrap_or_else(|| AttachError::NoSuchMode { name: device.name.clone() }))
}

fn attach_at(
    ebpf: &mut Ebpf,
    device: &NetworkDevice,
    name: &'static str,
    mode: Mode,
    pins: Option<&Pins>,
) -> Result<Held, AttachError> {
    let xdp_mode = match mode {
        Mode::Native => XdpMode::Driver,
        Mode::Generic => XdpMode::Skb,
        Mode::Tc => return attach_classifier(ebpf, device, TcAttachType::Ingress, name, pins),
    };
    // Multi-buffer programs came with 5.18; the next rung has none.
    load(ebpf, name)?;
    let program = xdp(ebpf, name)?;
    let attached = program.attach_to_if_index(device.index, xdp_mode).and_then(|id| program.take_link(id));
    match attached {
        Ok(link) => Held::xdp(link, name, mode.as_str(), device, pins),
        Err(error) if mode == Mode::Native && errno(&error) == Some(libc::EOPNOTSUPP) => {
            let reason = "its driver has no XDP, or not with its present settings".to_owned();
            Err(AttachError::Other { program: name, name: device.name.clone(), reason })
        }
        Err(error) => Err(attach_error(name, device, error)),
    }
}

fn attach_classifier(
    ebpf: &mut Ebpf,
    device: &NetworkDevice,
    way: TcAttachType,
    name: &'static str,
    pins: Option<&Pins>,
) -> Result<Held, AttachError> {
    load(ebpf, name)?;
    // First, since a program that ends the chain would hide every contact from those behind it. The
    // filters of older kernels come first of themselves: the kernel counts their priority down.
    let mut order = TcAttachOptions::TcxOrder(LinkOrder::first());
    // Before tcx (6.6), filters hang on a qdisc, which may be there already.
    if KernelVersion::current().is_ok_and(|kernel| kernel < KernelVersion::new(6, 6, 0)) {
        match qdisc_add_clsact(&device.name) {
            Ok(()) => {}
            Err(error @ TcError::NetlinkError(_)) if errno(&error) == Some(libc::EEXIST) => {}
            Err(error) => return Err(attach_error(name, device, error.into())),
        }
        // One that a sensor left which was killed before it could pin it; unless another has that device.
        if pins::of_device(device.index).is_none_or(|found| pins.is_some_and(|pins| pins.is_at(&found))) {
            let _ = qdisc_detach_program(&device.name, way, name);
        }
        order = TcAttachOptions::Netlink(NlOptions::default());
    }
    let program = classifier(ebpf, name)?;
    let link = program
        .attach_with_options(&device.name, way, order)
        .and_then(|id| program.take_link(id))
        .map_err(|error| attach_error(name, device, error))?;
    // TC is attached by name, and names move.
    if index(&device.name) != Some(device.index) {
        return Err(AttachError::NoInterface(device.name.clone()));
    }
    Held::classifier(ebpf, link, name, way, device, pins)
}

/// The index of a device by its name.
fn index(name: &str) -> Option<u32> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    name_to_index(&socket, name).ok()
}

fn attach_error(program: &'static str, device: &NetworkDevice, error: ProgramError) -> AttachError {
    let name = device.name.clone();
    match errno(&error) {
        // EEXIST: in the driver while we want the generic place, or the other way round.
        Some(libc::EBUSY | libc::EEXIST) => AttachError::Busy { program, name, pins: pins::of_device(device.index) },
        Some(libc::EPERM) => AttachError::Load(LoadError::Permission),
        Some(libc::ENODEV) => AttachError::NoInterface(name),
        _ => AttachError::Other { program, name, reason: one_line(&error) },
    }
}

/// Loads a program unless it is.
pub(super) fn load(ebpf: &mut Ebpf, name: &'static str) -> Result<(), LoadError> {
    let result = match ebpf.program_mut(name) {
        Some(Program::Xdp(program)) => program.load(),
        Some(Program::SchedClassifier(program)) => program.load(),
        _ => return Err(missing("program", name)),
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
