//! The frames of a capture, each with its parser result.

use sensor_common::GiveUp;

use super::trace::Traced;
use super::{CapturedFrame, Frames};
use crate::input::Content;
use crate::{Fault, ReadError};

/// Reads and parses the frames of a capture.
pub struct Packets {
    name: String,
    frames: Frames,
    /// Number of the last frame that was read.
    number: u64,
    has_reported_link_type: bool,
}

impl Packets {
    /// Reads the header of the capture called `name`.
    ///
    /// # Errors
    /// The header can't be read, or the link type is not supported.
    pub fn new(name: &str, content: Content) -> Result<Packets, ReadError> {
        let frames = Frames::new(name, content)?;
        Ok(Packets { name: name.into(), frames, number: 0, has_reported_link_type: false })
    }

    /// The next frame. `None` at the end, or at a point beyond which the capture can't be read.
    pub fn next(&mut self, report: &mut dyn FnMut(Fault)) -> Option<(CapturedFrame<'_>, Traced)> {
        let name = || self.name.clone();
        match self.frames.next() {
            Ok(Some(frame)) => {
                self.number = frame.number;
                let traced = Traced::new(&frame);
                if traced.parsed == Err(GiveUp::UnknownLink) && !self.has_reported_link_type {
                    self.has_reported_link_type = true;
                    report(Fault::LinkType { name: name(), link_type: frame.link_type.0, frame: frame.number });
                }
                Some((frame, traced))
            }
            Ok(None) => {
                if self.number == 0 {
                    report(Fault::Nothing { name: name(), way_out: "capture again" });
                }
                None
            }
            Err(stop) => {
                report(Fault::Stopped { name: name(), unit: "frame", number: self.number + 1, stop });
                None
            }
        }
    }
}
