//! What holds a program at a device, and survives this process if it is pinned.

use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::programs::TcAttachType;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcHandle};
use aya::programs::xdp::XdpLink;
use tattler_core::home::Device;

use super::AttachError;
use super::attach::{classifier, load, xdp};
use super::error::one_line;
use super::pins::{PinnedName, Pins};

/// What holds a program at a device. To be let go by [`Held::let_go`]; a link is let go as well when
/// it is dropped, unless it is pinned.
pub(super) struct Held {
    by: By,
    pin: Option<PathBuf>,
}

enum By {
    /// The kernel holds it while a descriptor or a pin is there.
    Link(#[expect(dead_code, reason = "held, not read")] FdLink),
    /// On a clsact qdisc, in kernels before 6.6: stays until it is removed. What is pinned is the
    /// program, to say so.
    Filter(SchedClassifierLink),
}

impl Held {
    /// Holds an XDP program that was attached, and pins it.
    pub(super) fn xdp(
        link: XdpLink,
        program: &'static str,
        mode: &str,
        device: &Device,
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
        device: &Device,
        pins: Option<&Pins>,
    ) -> Result<Held, AttachError> {
        let (Ok(priority), Ok(handle)) = (link.priority(), link.handle()) else {
            let link = FdLink::try_from(link).map_err(|error| failed(program, device, &error))?;
            return Held::link(link, program, word(way), "tcx", device, pins);
        };
        let mode = format!("clsact-{priority}-{:08x}", u32::from(handle));
        let pin = pins.map(|pins| pins.link(&name(program, word(way), &mode, device)));
        if let Some(pin) = &pin {
            // At once in place of the one before: a filter without its pin would never be found again.
            let new = pin.with_file_name("new");
            let _ = fs::remove_file(&new);
            classifier(ebpf, program)?.pin(&new).map_err(|error| failed(program, device, &error))?;
            fs::rename(&new, pin).map_err(|error| failed(program, device, &error))?;
        }
        Ok(Held { by: By::Filter(link), pin })
    }

    fn link(
        link: FdLink,
        program: &'static str,
        way: &str,
        mode: &str,
        device: &Device,
        pins: Option<&Pins>,
    ) -> Result<Held, AttachError> {
        let Some(pin) = pins.map(|pins| pins.link(&name(program, way, mode, device))) else {
            return Ok(Held { by: By::Link(link), pin: None });
        };
        let link = if pin.exists() { link } else { link.pin(&pin).map_err(|e| failed(program, device, &e))?.into() };
        Ok(Held { by: By::Link(link), pin: Some(pin) })
    }

    /// Takes over the XDP program that an earlier life left at a device: puts the one of this life into
    /// its link, at once. What can't be taken over is removed.
    pub(super) fn adopt_xdp(ebpf: &mut Ebpf, pins: &Pins, device: &Device, program: &'static str) -> Option<Held> {
        let (found, path) = find(pins, device, "in")?;
        let mut taken = || {
            load(ebpf, program).ok()?;
            let link = FdLink::from(PinnedLink::from_pin(&path).ok()?);
            let xdp = xdp(ebpf, program).ok()?;
            let id = xdp.attach_to_link(XdpLink::try_from(link).ok()?).ok()?;
            Held::xdp(xdp.take_link(id).ok()?, program, &found.mode, device, Some(pins)).ok()
        };
        let taken = taken();
        or_remove(pins, &found, taken)
    }

    /// The same of a TC program, of either way.
    pub(super) fn adopt_classifier(
        ebpf: &mut Ebpf,
        pins: &Pins,
        device: &Device,
        way: TcAttachType,
        program: &'static str,
    ) -> Option<Held> {
        let (found, path) = find(pins, device, word(way))?;
        let mut taken = || {
            if found.program != program {
                return None;
            }
            load(ebpf, program).ok()?;
            let link = match found.mode.strip_prefix("clsact-") {
                Some(place) => filter(&device.name, way, place)?,
                None => FdLink::from(PinnedLink::from_pin(&path).ok()?).try_into().ok()?,
            };
            let classifier = classifier(ebpf, program).ok()?;
            let id = classifier.attach_to_link(link).ok()?;
            let link = classifier.take_link(id).ok()?;
            Held::classifier(ebpf, link, program, way, device, Some(pins)).ok()
        };
        let taken = taken();
        or_remove(pins, &found, taken)
    }

    /// Detaches what an earlier life left and this one has no use for, and removes its pin. A link goes
    /// with its pin, a filter stays until it is removed.
    pub(super) fn remove(pins: &Pins, left: &PinnedName) {
        if let Some(place) = left.mode.strip_prefix("clsact-")
            && let Some(device) = device_name(left.index)
        {
            let way = if left.way == "in" { TcAttachType::Ingress } else { TcAttachType::Egress };
            // Its drop removes it.
            drop(filter(&device, way, place));
        }
        let _ = fs::remove_file(pins.link(left));
    }

    /// Where it is pinned.
    pub(super) fn pin(&self) -> Option<&Path> {
        self.pin.as_deref()
    }

    /// Detaches, unless it is to be left to the next life and can be.
    pub(super) fn let_go(self, leave: bool) {
        let Some(pin) = self.pin else { return };
        if !leave {
            let _ = fs::remove_file(pin);
        } else if let By::Filter(filter) = self.by {
            // Its drop would remove it.
            std::mem::forget(filter);
        }
    }
}

/// A filter as an earlier life left it.
fn filter(device: &str, way: TcAttachType, place: &str) -> Option<SchedClassifierLink> {
    let (priority, handle) = place.split_once('-')?;
    let handle = TcHandle::from(u32::from_str_radix(handle, 16).ok()?);
    SchedClassifierLink::attached(device, way, priority.parse().ok()?, handle, None).ok()
}

/// As names of pins have it.
const fn word(way: TcAttachType) -> &'static str {
    if matches!(way, TcAttachType::Ingress) { "in" } else { "out" }
}

fn find(pins: &Pins, device: &Device, way: &str) -> Option<(PinnedName, PathBuf)> {
    let found = pins.find(device.index, way)?;
    let path = pins.link(&found);
    Some((found, path))
}

/// The device may have gone, and another have its index now: then the link holds nothing, and is in
/// the way.
fn or_remove<T>(pins: &Pins, found: &PinnedName, taken: Option<T>) -> Option<T> {
    if taken.is_none() {
        Held::remove(pins, found);
    }
    taken
}

fn device_name(index: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: there is room for the longest name, and the kernel ends it with 0.
    let found = unsafe { !libc::if_indextoname(index, name.as_mut_ptr().cast()).is_null() };
    let name = found.then(|| CStr::from_bytes_until_nul(&name).ok()).flatten()?;
    name.to_str().ok().map(str::to_owned)
}

fn name(program: &str, way: &str, mode: &str, device: &Device) -> PinnedName {
    PinnedName { index: device.index, way: way.into(), program: program.into(), mode: mode.into() }
}

fn failed(program: &'static str, device: &Device, error: &(dyn std::error::Error + 'static)) -> AttachError {
    AttachError::Other { program, name: device.name.clone(), reason: one_line(error) }
}
