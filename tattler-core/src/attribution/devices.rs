//! Devices differ in how often their addresses are probed, whomever they contact: one tells of itself
//! by ways that nobody sees here, another sleeps most of the day. Each has its habits too, and without
//! a correction its favourite sites would be blamed for its fate.
//!
//! The factor of a device is what empirical Bayes makes of its cases (a gamma prior with mean 1 and the
//! variance that the devices show): with little data, or devices that don't differ, all are 1.

use std::collections::HashMap;

use crate::view::frame::Frame;

/// How much more often than others the addresses of each device are hit.
pub struct Factors {
    /// By local: a position in `devices`; `None` where the device is not known.
    of: Vec<Option<u32>>,
    /// Cases, and how many there would be if devices were all the same.
    devices: Vec<(f64, f64)>,
    /// What the prior counts for, in cases; infinite if the devices don't differ.
    weight: f64,
}

impl Factors {
    /// From the locals of `cases`, among those with `tested`.
    #[must_use]
    pub fn new(frame: &Frame, tested: &[bool], cases: impl Iterator<Item = u32>) -> Factors {
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut devices: Vec<(f64, f64)> = Vec::new();
        let mut of = vec![None; frame.len()];
        let mut locals = 0.0;
        for local in (0..frame.len()).filter(|&local| tested[local]) {
            let Some(device) = frame.local(local).device else { continue };
            let number = *numbers.entry(device).or_insert_with(|| {
                devices.push((0.0, 0.0));
                devices.len() as u32 - 1
            });
            of[local] = Some(number);
            devices[number as usize].1 += 1.0;
            locals += 1.0;
        }
        let mut all = 0.0;
        for case in cases {
            if let Some(device) = of[case as usize] {
                devices[device as usize].0 += 1.0;
                all += 1.0;
            }
        }
        devices.iter_mut().for_each(|(_, expected)| *expected *= all / f64::max(locals, 1.0));
        let excess: f64 = devices.iter().map(|(cases, expected)| (cases - expected).powi(2) - expected).sum();
        let scale: f64 = devices.iter().map(|(_, expected)| expected * expected).sum();
        let weight = if excess > 0.0 { (scale / excess).max(LEAST_WEIGHT) } else { f64::INFINITY };
        Factors { of, devices, weight }
    }

    /// The factor of a local's device.
    #[must_use]
    pub fn of(&self, local: u32) -> f64 {
        self.of_less(local, 0.0)
    }

    /// The same of a case, from all cases but itself.
    #[must_use]
    pub fn of_case(&self, local: u32) -> f64 {
        self.of_less(local, 1.0)
    }

    fn of_less(&self, local: u32, less: f64) -> f64 {
        match self.of[local as usize] {
            Some(device) if self.weight.is_finite() => {
                let (cases, expected) = self.devices[device as usize];
                ((cases - less).max(0.0) + self.weight) / (expected + self.weight)
            }
            _ => 1.0,
        }
    }
}

/// The prior counts for at least so many cases, whatever few devices show.
const LEAST_WEIGHT: f64 = 0.5;
