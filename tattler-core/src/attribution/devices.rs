//! How often the addresses of each device are probed, compared with the addresses of other devices.
//!
//! Devices differ in this rate independently of their contacts: one device reveals its addresses in ways that a
//! sensor cannot see, another device sleeps most of the day. Devices have habits too. Without a correction, the
//! attribution would blame the favourite sites of an often probed device.
//!
//! The factor of a device is an empirical Bayes estimate from its cases (a gamma prior with mean 1 and the variance
//! between the devices). If there are few data, or if the devices do not differ, all factors are 1.

use std::collections::HashMap;

use super::cases::tested_locals;
use crate::view::frame::Frame;

/// The factors of all devices.
pub struct Factors {
    /// For each local: a position in `devices`. `None` where the device is not known.
    of: Vec<Option<u32>>,
    /// For each device: the number of cases, and the expected number if all devices were alike.
    devices: Vec<(f64, f64)>,
    /// The weight of the prior, in cases; infinite if the devices do not differ.
    weight: f64,
}

impl Factors {
    /// Estimates the factors from the locals of `cases`, among the locals with `tested`.
    #[must_use]
    pub fn new(frame: &Frame, tested: &[bool], cases: impl Iterator<Item = u32>) -> Factors {
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut devices: Vec<(f64, f64)> = Vec::new();
        let mut of = vec![None; frame.len()];
        let mut locals = 0.0;
        for local in tested_locals(tested) {
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

    /// The factor of a case's device, from all cases except this case.
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

/// The least weight of the prior, even if the data of a few devices suggest a smaller weight.
const LEAST_WEIGHT: f64 = 0.5;
