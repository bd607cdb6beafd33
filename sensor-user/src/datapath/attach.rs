//! Attaching the programs to devices.

use std::fmt;

use aya::Ebpf;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, qdisc_add_clsact};
use aya::programs::{LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::util::KernelVersion;
use sensor_common::{Link, names};

use super::error::{errno, one_line};
use super::held::Held;
use super::pins::{self, Pins};
use super::{AttachError, Datapath, LoadError};

/// A device to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// ARPHRD_* of linux/if_arp.h.
    pub kind: u16,
}

impl Device {
    /// What its packets begin with.
    fn link(&self) -> Option<Link> {
        match self.kind {
            // Ethernet and loopback.
            1 | 772 => Some(Link::Ethernet),
            // PPP, ip6tnl, tunnel, sit, ipgre, ip6gre, rawip, none (tun, WireGuard).
            512 | 768 | 769 | 776 | 778 | 823 | 519 | 65534 => Some(Link::Raw),
            _ => None,
        }
    }
}

/// How the ingress program is attached. Known from what the kernel accepted, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the network stack, behind the driver.
    Generic,
}

impl Mode {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Generic => "generic",
        }
    }

    fn from_name(name: &str) -> Option<Mode> {
        [Mode::Native, Mode::Generic].into_iter().find(|mode| mode.as_str() == name)
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
    pub device: Device,
    /// How ingress is attached.
    pub mode: Mode,
    /// Why it is not attached in the driver, where it is not.
    pub not_native: Option<String>,
    /// Taken over from an earlier life of the sensor: it was watched all the time.
    pub adopted: bool,
}

/// What must be undone.
pub(super) struct Attached {
    pub(super) index: u32,
    pub(super) ingress: Held,
    pub(super) egress: Held,
}

impl Datapath {
    /// Watches a device: XDP in the driver if that can be, else generic, and TC at egress. What an
    /// earlier life left there is taken over without a gap.
    ///
    /// # Errors
    /// One that names the device; nothing is left attached then.
    pub fn attach(&mut self, device: &Device) -> Result<Attachment, AttachError> {
        if self.attachments.iter().any(|attached| attached.index == device.index) {
            return Err(AttachError::Twice(device.name.clone()));
        }
        let link = device.link().ok_or_else(|| AttachError::Type { name: device.name.clone(), kind: device.kind })?;
        let (ebpf, pins) = (&mut self.ebpf, self.pins.as_ref());
        let adopted = pins.and_then(|pins| {
            let (held, mode) = Held::adopt_xdp(ebpf, pins, device, ingress_programs(link))?;
            Some((held, Mode::from_name(&mode)?))
        });
        let ingress_adopted = adopted.is_some();
        let (ingress, mode, not_native) = match adopted {
            Some((held, mode)) => (held, mode, None),
            None => attach_ingress(ebpf, device, link, pins)?,
        };
        let name = if link == Link::Raw { names::EGRESS_RAW } else { names::EGRESS };
        let adopted = pins.and_then(|pins| Held::adopt_classifier(ebpf, pins, device, name));
        let adopted_both = ingress_adopted && adopted.is_some();
        let egress = match adopted {
            Some(held) => Ok(held),
            None => {
                attach_egress(ebpf, device, name).and_then(|filter| Held::classifier(ebpf, filter, name, device, pins))
            }
        };
        match egress {
            Ok(egress) => {
                self.attachments.push(Attached { index: device.index, ingress, egress });
                Ok(Attachment { device: device.clone(), mode, not_native, adopted: adopted_both })
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

/// Those that may be at the ingress of a device.
const fn ingress_programs(link: Link) -> &'static [&'static str] {
    match link {
        Link::Raw => &[names::INGRESS_RAW],
        _ => &[names::INGRESS, names::INGRESS_LINEAR],
    }
}

/// Native with multi-buffer packets, native without, generic: the first that the kernel takes.
fn attach_ingress(ebpf: &mut Ebpf, device: &Device, link: Link, pins: Option<&Pins>) -> Result<Ingress, AttachError> {
    let ladder: &[(&'static str, XdpMode, Mode)] = match link {
        // No driver of such a device takes XDP.
        Link::Raw => &[(names::INGRESS_RAW, XdpMode::Skb, Mode::Generic)],
        _ => &[
            (names::INGRESS, XdpMode::Driver, Mode::Native),
            (names::INGRESS_LINEAR, XdpMode::Driver, Mode::Native),
            (names::INGRESS_LINEAR, XdpMode::Skb, Mode::Generic),
        ],
    };
    let mut native_failed = None;
    let mut failed = None;
    for &(name, xdp_mode, mode) in ladder {
        let error = match load(ebpf, name) {
            Ok(()) => match xdp(ebpf, name)?.attach_to_if_index(device.index, xdp_mode) {
                Ok(id) => {
                    let link = xdp(ebpf, name)?.take_link(id).map_err(|error| attach_error(name, device, error))?;
                    return Ok((Held::xdp(link, name, mode.as_str(), device, pins)?, mode, native_failed));
                }
                Err(error) if errno(&error) == Some(libc::EOPNOTSUPP) => {
                    let reason = "its driver has no XDP, or not with its present settings".to_owned();
                    AttachError::Other { program: name, name: device.name.clone(), reason }
                }
                Err(error) => attach_error(name, device, error),
            },
            // Multi-buffer programs came with 5.18; the next rung has none.
            Err(error) => AttachError::Load(error),
        };
        if matches!(error, AttachError::Busy { .. } | AttachError::Load(LoadError::Permission)) {
            return Err(error);
        }
        if mode == Mode::Native {
            native_failed = Some(error.to_string());
        }
        failed = Some(error);
    }
    Err(failed.unwrap_or_else(|| AttachError::NoInterface(device.name.clone())))
}

fn attach_egress(ebpf: &mut Ebpf, device: &Device, name: &'static str) -> Result<SchedClassifierLink, AttachError> {
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
        order = TcAttachOptions::Netlink(NlOptions::default());
    }
    let classifier = classifier(ebpf, name)?;
    classifier
        .attach_with_options(&device.name, TcAttachType::Egress, order)
        .and_then(|id| classifier.take_link(id))
        .map_err(|error| attach_error(name, device, error))
}

fn attach_error(program: &'static str, device: &Device, error: ProgramError) -> AttachError {
    let name = device.name.clone();
    match errno(&error) {
        Some(libc::EBUSY) => AttachError::Busy { program, name, pins: pins::of_device(device.index) },
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
        _ => return Err(LoadError::Other(format!("the object has no program {name}"))),
    };
    match result {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn xdp<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, LoadError> {
    match ebpf.program_mut(name) {
        Some(Program::Xdp(program)) => Ok(program),
        _ => Err(LoadError::Other(format!("the object has no XDP program {name}"))),
    }
}

pub(super) fn classifier<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier, LoadError> {
    match ebpf.program_mut(name) {
        Some(Program::SchedClassifier(program)) => Ok(program),
        _ => Err(LoadError::Other(format!("the object has no TC program {name}"))),
    }
}
