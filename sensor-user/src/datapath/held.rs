//! Holds an attached program. It stays attached after the process ends if it is pinned.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcHandle};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};
use tattler_core::home::NetworkDevice;

use super::AttachError;
use super::attach::{Attacher, classifier, load, xdp};
use super::error::one_line;
use super::pins::{PinnedName, Pins};
use crate::netlink::generic::filter_program;

/// An attached program. [`Held::let_go`] detaches it. Dropping it detaches a link, unless it is pinned.
pub(super) struct Held {
    by: By,
    pin: Option<PathBuf>,
}

enum By {
    /// Attached while there is a descriptor or a pin.
    Link(#[expect(dead_code, reason = "held, not read")] FdLink),
    /// A filter on a clsact qdisc, in kernels before 6.6. Stays until it is removed. The program is pinned.
    Filter { link: SchedClassifierLink, device: u32, place: Place, program: u32 },
}

/// The place of a filter. If our filter was removed, another tool may have put its own there.
#[derive(Clone, Copy)]
struct Place {
    way: TcAttachType,
    priority: u16,
    handle: TcHandle,
}

impl Attacher<'_> {
    /// Holds an attached XDP program and pins it.
    pub(super) fn hold_xdp(&self, link: XdpLink, program: &'static str, mode: &str) -> Result<Held, AttachError> {
        // Always a link: aya uses netlink only on kernels before 5.9.
        let link = FdLink::try_from(link).map_err(|error| failed(program, self.device, &error))?;
        self.hold_link(link, program, "in", mode)
    }

    /// Holds an attached TC program and pins it.
    pub(super) fn hold_classifier(
        &mut self,
        link: SchedClassifierLink,
        program: &'static str,
        way: TcAttachType,
    ) -> Result<Held, AttachError> {
        let device = self.device;
        let (Ok(priority), Ok(handle)) = (link.priority(), link.handle()) else {
            let link = FdLink::try_from(link).map_err(|error| failed(program, device, &error))?;
            return self.hold_link(link, program, word(way), "tcx");
        };
        let place = Place { way, priority, handle };
        let mode = format!("clsact-{priority}-{:08x}", u32::from(handle));
        let pin = self.path(program, word(way), &mode);
        let classifier = classifier(self.ebpf, program)?;
        let id = classifier.info().map_err(|error| failed(program, device, &error))?.id();
        if let Some(pin) = &pin {
            // Replaces an earlier pin atomically: a filter without a pin would never be found again.
            let new = pin.with_file_name("new");
            let _ = fs::remove_file(&new);
            classifier.pin(&new).map_err(|error| failed(program, device, &error))?;
            fs::rename(&new, pin).map_err(|error| failed(program, device, &error))?;
        }
        Ok(Held { by: By::Filter { link, device: device.index, place, program: id }, pin })
    }

    fn hold_link(&self, link: FdLink, program: &'static str, way: &str, mode: &str) -> Result<Held, AttachError> {
        let pin = self.path(program, way, mode);
        let link = match pin.as_ref().filter(|pin| !pin.exists()) {
            Some(pin) => link.pin(pin).map_err(|error| failed(program, self.device, &error))?.into(),
            None => link,
        };
        Ok(Held { by: By::Link(link), pin })
    }

    /// Where a link is to be pinned.
    fn path(&self, program: &str, way: &str, mode: &str) -> Option<PathBuf> {
        let index = self.device.index;
        let name = PinnedName { index, way: way.into(), program: program.into(), mode: mode.into() };
        self.pins.map(|pins| pins.link(&name))
    }

    /// What an earlier run pinned for ingress or egress.
    pub(super) fn find(&self, way: &str) -> Option<PinnedName> {
        self.pins?.find(self.device.index, way)
    }

    /// Takes over the link of an earlier run: replaces its XDP program with the one of this run, atomically. If that
    /// fails, logs the reason and removes the link.
    pub(super) fn adopt_xdp(&mut self, program: &'static str) -> Option<Held> {
        let found = self.find("in")?;
        let path = self.pins?.link(&found);
        let device = self.device;
        let mut adopt = || {
            let error = |error: &(dyn Error + 'static)| failed(program, device, error);
            load(self.ebpf, program)?;
            let link = FdLink::from(PinnedLink::from_pin(&path).map_err(|e| error(&e))?);
            let xdp = xdp(self.ebpf, program)?;
            let link = XdpLink::try_from(link).map_err(|e| error(&e))?;
            let id = xdp.attach_to_link(link).map_err(|e| error(&e))?;
            let link = xdp.take_link(id).map_err(|e| error(&e))?;
            self.hold_xdp(link, program, &found.mode)
        };
        let adopted = adopt();
        self.or_remove(&found, adopted)
    }

    /// [`Attacher::adopt_xdp`] for a TC program at ingress or egress.
    pub(super) fn adopt_classifier(&mut self, way: TcAttachType, program: &'static str) -> Option<Held> {
        let found = self.find(word(way))?;
        let path = self.pins?.link(&found);
        let device = self.device;
        let mut adopt = || {
            let error = |error: &(dyn Error + 'static)| failed(program, device, error);
            if found.program != program {
                return Err(refused(program, device, format!("{} is attached", found.program)));
            }
            load(self.ebpf, program)?;
            let link = match Place::of(&found) {
                Some(place) if place.holds(device.index, pinned(&path).map_err(|e| error(&e))?) => {
                    place.link(&device.name).map_err(|e| error(&e))?
                }
                Some(_) => return Err(refused(program, device, "its filter was removed or replaced".to_owned())),
                None => {
                    let link = FdLink::from(PinnedLink::from_pin(&path).map_err(|e| error(&e))?);
                    link.try_into().map_err(|e| error(&e))?
                }
            };
            let classifier = classifier(self.ebpf, program)?;
            let id = classifier.attach_to_link(link).map_err(|e| error(&e))?;
            let link = classifier.take_link(id).map_err(|e| error(&e))?;
            self.hold_classifier(link, program, way)
        };
        let adopted = adopt();
        self.or_remove(&found, adopted)
    }

    /// Removes a link that can't be adopted, for example because its device was deleted. It would block the new one.
    fn or_remove(&self, found: &PinnedName, adopted: Result<Held, AttachError>) -> Option<Held> {
        if let Err(error) = &adopted {
            tracing::warn!("cannot take over a program that an earlier run left attached: {error}; attaching it again");
            Held::remove(self.pins?, found);
        }
        adopted.ok()
    }
}

impl Held {
    /// Detaches a program of an earlier run and removes its pin. A link is detached with its pin, a filter has to be
    /// removed.
    pub(super) fn remove(pins: &Pins, left: &PinnedName) {
        let path = pins.link(left);
        if let Some(place) = Place::of(left)
            && let Some(device) = device_name(left.index)
            && pinned(&path).is_ok_and(|program| place.holds(left.index, program))
        {
            // Dropping the link removes the filter.
            drop(place.link(&device));
        }
        let _ = fs::remove_file(path);
    }

    /// Where it is pinned.
    pub(super) fn pin(&self) -> Option<&Path> {
        self.pin.as_deref()
    }

    /// Detaches the program. With `leave`, a pinned one stays for the next run.
    pub(super) fn let_go(self, leave: bool) {
        let leave = leave && self.pin.is_some();
        if let Some(pin) = self.pin.filter(|_| !leave) {
            let _ = fs::remove_file(pin);
        }
        if let By::Filter { link, device, place, program } = self.by
            && (leave || !place.holds(device, program))
        {
            // Dropping the link would remove the filter, even one of another tool.
            std::mem::forget(link);
        }
    }
}

impl Place {
    /// From the name of a pin.
    fn of(found: &PinnedName) -> Option<Place> {
        let (priority, handle) = found.mode.strip_prefix("clsact-")?.split_once('-')?;
        let handle = TcHandle::from(u32::from_str_radix(handle, 16).ok()?);
        let way = if found.way == "in" { TcAttachType::Ingress } else { TcAttachType::Egress };
        Some(Place { way, priority: priority.parse().ok()?, handle })
    }

    /// Whether the filter at this place runs this program.
    fn holds(self, device: u32, program: u32) -> bool {
        let ingress = matches!(self.way, TcAttachType::Ingress);
        filter_program(device, ingress, self.priority, self.handle.into()).is_ok_and(|id| id == Some(program))
    }

    fn link(self, device: &str) -> io::Result<SchedClassifierLink> {
        SchedClassifierLink::attached(device, self.way, self.priority, self.handle, None)
    }
}

/// The kernel's id of a pinned program.
fn pinned(path: &Path) -> Result<u32, ProgramError> {
    Ok(SchedClassifier::from_pin(path)?.info()?.id())
}

/// The word in names of pins.
const fn word(way: TcAttachType) -> &'static str {
    if matches!(way, TcAttachType::Ingress) { "in" } else { "out" }
}

fn device_name(index: u32) -> Option<String> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    index_to_name(&socket, index).ok()
}

fn failed(program: &'static str, device: &NetworkDevice, error: &(dyn Error + 'static)) -> AttachError {
    refused(program, device, one_line(error))
}

fn refused(program: &'static str, device: &NetworkDevice, reason: String) -> AttachError {
    AttachError::Other { program, name: device.name.clone(), reason }
}
