//! Draining the ring.

use sensor_common::wire::Event;

use super::Datapath;

/// What one turn took out of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events handed on.
    pub events: usize,
    /// Records of a length that no event has.
    pub invalid: usize,
}

impl Datapath {
    /// Hands on up to `most` events, oldest first, and returns how many there were.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(Event)) -> Drained {
        let mut drained = Drained::default();
        while drained.events + drained.invalid < most {
            let Some(record) = self.ring.next() else { break };
            match Event::decode(&record) {
                Some(event) => {
                    take(event);
                    drained.events += 1;
                }
                None => drained.invalid += 1,
            }
        }
        drained
    }
}

/// Prints what the programs log; built in for work on them only.
#[cfg(feature = "debug-log")]
pub(super) fn forward_log(ebpf: &mut aya::Ebpf) {
    match aya_log::EbpfLogger::init(ebpf) {
        Ok(mut logger) => {
            std::thread::spawn(move || {
                loop {
                    logger.flush();
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            });
        }
        Err(error) => tracing::warn!("the programs' log cannot be read: {error}"),
    }
}
