//! What holds a program at a device, and survives this process if it is pinned.

use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::Ebpf;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcHandle};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};
use tattler_core::home::NetworkDevice;

use super::AttachError;
use super::attach::{classifier, load, xdp};
use super::error::one_line;
use super::pins::{PinnedName, Pins};
use crate::netlink::filters;

/// What holds a program at a device. To be let go by [`Held::let_go`]; a link is let go as well when
/// it is dropped, unless it is pinned.
pub(super) struct Held {
    by: By,
    pin: Option<PathBuf>,
}

enum By {
    /// The kernel holds it while a descriptor or a pin is there.
    Link(#[expect(dead_code, reason = "held, not read")] FdLink),
    /// On a clsact qdisc, in kernels before 6.6: stays until it is removed. The pin is the program's.
    Filter { link: SchedClassifierLink, device: u32, place: Place, program: u32 },
}

/// Where a filter is. Another tool may put its own filter in the place of one that was removed.
#[derive(Clone, Copy)]
struct Place {
    way: TcAttachType,
    priority: u16,
    handle: TcHandle,
}

impl Held {
    /// Holds an XDP program that was attached, and pins it.
    pub(super) fn xdp(
        link: XdpLink,
        program: &'static str,
        mode: &str,
        device: &NetworkDevice,
        pins: Option<&Pins>,
    ) -> Result<Held, AttachError> {
        // aya goes by netlink where the kernel has no links, which none since 5.9 is without.
        let link = FdLink::try_from(link).map_err(|error| failed(program, device, &error))?;
        Held::link(link, program, "in", mode, device, pins)
    }

    /// The same for a TC program.
    pub(super) fn classifier(
        ebpf: &mut Ebpf,
        link: SchedClassifierLink,
        program: &'static str,
        way: TcAttachType,
        device: &NetworkDevice,
        pins: Option<&Pins>,
    ) -> Result<Held, AttachError> {
        let (Ok(priority), Ok(handle)) = (link.priority(), link.handle()) else {
            let link = FdLink::try_from(link).map_err(|error| failed(program, device, &error))?;
            return Held::link(link, program, word(way), "tcx", device, pins);
        };
        let place = Place { way, priority, handle };
        let mode = format!("clsact-{priority}-{:08x}", u32::from(handle));
        let id = classifier(ebpf, program)?.info().map_err(|error| failed(program, device, &error))?.id();
        let pin = pins.map(|pins| pins.link(&name(program, word(way), &mode, device)));
        if let Some(pin) = &pin {
            // At once in place of the one before: a filter without its pin would never be found again.
            let new = pin.with_file_name("new");
            let _ = fs::remove_file(&new);
            classifier(ebpf, program)?.pin(&new).map_err(|error| failed(program, device, &error))?;
            fs::rename(&new, pin).map_err(|error| failed(program, device, &error))?;
        }
        Ok(Held { by: By::Filter { link, device: device.index, place, program: id }, pin })
    }

    fn link(
        link: FdLink,
        program: &'static str,
        way: &str,
        mode: &str,
        device: &NetworkDevice,
        pins: Option<&Pins>,
    ) -> Result<Held, AttachError> {
        let Some(pin) = pins.map(|pins| pins.link(&name(program, way, mode, device))) else {
            return Ok(Held { by: By::Link(link), pin: None });
        };
        let link = if pin.exists() { link } else { link.pin(&pin).map_err(|e| failed(program, device, &e))?.into() };
        Ok(Held { by: By::Link(link), pin: Some(pin) })
    }

    /// Takes over the XDP program that an earlier run left at a device: puts the one of this run into
    /// its link, at once. If that fails, the log says why and what is there is removed.
    pub(super) fn adopt_xdp(
        ebpf: &mut Ebpf,
        pins: &Pins,
        device: &NetworkDevice,
        program: &'static str,
    ) -> Option<Held> {
        let (found, path) = find(pins, device, "in")?;
        let mut adopt = || {
            load(ebpf, program)?;
            let error = |error: &(dyn std::error::Error + 'static)| failed(program, device, error);
            let link = FdLink::from(PinnedLink::from_pin(&path).map_err(|e| error(&e))?);
            let xdp = xdp(ebpf, program)?;
            let link = XdpLink::try_from(link).map_err(|e| error(&e))?;
            let id = xdp.attach_to_link(link).map_err(|e| error(&e))?;
            let link = xdp.take_link(id).map_err(|e| error(&e))?;
            Held::xdp(link, program, &found.mode, device, Some(pins))
        };
        let adopted = adopt();
        or_remove(pins, &found, adopted)
    }

    /// The same of a TC program, of either way.
    pub(super) fn adopt_classifier(
        ebpf: &mut Ebpf,
        pins: &Pins,
        device: &NetworkDevice,
        way: TcAttachType,
        program: &'static str,
    ) -> Option<Held> {
        let (found, path) = find(pins, device, word(way))?;
        let mut adopt = || {
            let error = |error: &(dyn std::error::Error + 'static)| failed(program, device, error);
            if found.program != program {
                return Err(refused(program, device, format!("{} is there", found.program)));
            }
            load(ebpf, program)?;
            let link = match Place::of(&found) {
                Some(place) if place.holds(device.index, pinned(&path).map_err(|e| error(&e))?) => {
                    place.link(&device.name).map_err(|e| error(&e))?
                }
                Some(_) => {
                    return Err(refused(program, device, "its filter is gone, or another's is there".to_owned()));
                }
                None => {
                    let link = FdLink::from(PinnedLink::from_pin(&path).map_err(|e| error(&e))?);
                    link.try_into().map_err(|e| error(&e))?
                }
            };
            let classifier = classifier(ebpf, program)?;
            let id = classifier.attach_to_link(link).map_err(|e| error(&e))?;
            let link = classifier.take_link(id).map_err(|e| error(&e))?;
            Held::classifier(ebpf, link, program, way, device, Some(pins))
        };
        let adopted = adopt();
        or_remove(pins, &found, adopted)
    }

    /// Detaches what an earlier run left and this one has no use for, and removes its pin. A link goes
    /// with its pin, a filter stays until it is removed.
    pub(super) fn remove(pins: &Pins, left: &PinnedName) {
        let path = pins.link(left);
        if let Some(place) = Place::of(left)
            && let Some(device) = device_name(left.index)
            && pinned(&path).is_ok_and(|program| place.holds(left.index, program))
        {
            // Its drop removes it.
            drop(place.link(&device));
        }
        let _ = fs::remove_file(path);
    }

    /// Where it is pinned.
    pub(super) fn pin(&self) -> Option<&Path> {
        self.pin.as_deref()
    }

    /// Detaches, unless it is to be left to the next run and can be.
    pub(super) fn let_go(self, leave: bool) {
        let leave = leave && self.pin.is_some();
        if let Some(pin) = self.pin.filter(|_| !leave) {
            let _ = fs::remove_file(pin);
        }
        if let By::Filter { link, device, place, program } = self.by
            && (leave || !place.holds(device, program))
        {
            // Its drop would remove whatever filter is there.
            std::mem::forget(link);
        }
    }
}

impl Place {
    /// As the name of a pin has it.
    fn of(found: &PinnedName) -> Option<Place> {
        let (priority, handle) = found.mode.strip_prefix("clsact-")?.split_once('-')?;
        let handle = TcHandle::from(u32::from_str_radix(handle, 16).ok()?);
        let way = if found.way == "in" { TcAttachType::Ingress } else { TcAttachType::Egress };
        Some(Place { way, priority: priority.parse().ok()?, handle })
    }

    /// Whether the filter there runs this program.
    fn holds(self, device: u32, program: u32) -> bool {
        let ingress = matches!(self.way, TcAttachType::Ingress);
        filters::program(device, ingress, self.priority, self.handle.into()).is_ok_and(|id| id == Some(program))
    }

    fn link(self, device: &str) -> io::Result<SchedClassifierLink> {
        SchedClassifierLink::attached(device, self.way, self.priority, self.handle, None)
    }
}

/// The kernel's number for a program that is pinned.
fn pinned(path: &Path) -> Result<u32, ProgramError> {
    Ok(SchedClassifier::from_pin(path)?.info()?.id())
}

/// As names of pins have it.
const fn word(way: TcAttachType) -> &'static str {
    if matches!(way, TcAttachType::Ingress) { "in" } else { "out" }
}

fn find(pins: &Pins, device: &NetworkDevice, way: &str) -> Option<(PinnedName, PathBuf)> {
    let found = pins.find(device.index, way)?;
    let path = pins.link(&found);
    Some((found, path))
}

/// A link whose device is gone holds nothing, and is in the way.
fn or_remove(pins: &Pins, found: &PinnedName, adopted: Result<Held, AttachError>) -> Option<Held> {
    if let Err(error) = &adopted {
        tracing::warn!("what an earlier run left attached cannot be taken over: {error}; it is attached again");
        Held::remove(pins, found);
    }
    adopted.ok()
}

fn device_name(index: u32) -> Option<String> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    index_to_name(&socket, index).ok()
}

fn name(program: &str, way: &str, mode: &str, device: &NetworkDevice) -> PinnedName {
    PinnedName { index: device.index, way: way.into(), program: program.into(), mode: mode.into() }
}

fn failed(program: &'static str, device: &NetworkDevice, error: &(dyn std::error::Error + 'static)) -> AttachError {
    refused(program, device, one_line(error))
}

fn refused(program: &'static str, device: &NetworkDevice, reason: String) -> AttachError {
    AttachError::Other { program, name: device.name.clone(), reason }
}
