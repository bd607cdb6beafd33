//! The maps, as the rules look into them.

use sensor_common::parse::Address;
use sensor_common::rules::{Memory, Time};
use sensor_common::wire::{Flow, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey};

use crate::{flows, home, inbound, pairs, ports, repeats};

/// All maps that the rules need.
pub struct Maps;

impl Memory for Maps {
    #[inline(always)]
    fn is_home(&self, address: &Address) -> bool {
        home::contains(address)
    }

    #[inline(always)]
    fn flow(&self, key: &FlowKey) -> Option<Flow> {
        flows::get(key)
    }

    #[inline(always)]
    fn inbound(&self, key: &FlowKey) -> Option<Flow> {
        inbound::get(key)
    }

    #[inline(always)]
    fn port(&self, key: &PortKey) -> Option<Time> {
        ports::get(key)
    }

    #[inline(always)]
    fn pair(&self, key: &PairKey) -> Option<Pair> {
        pairs::get(key)
    }

    #[inline(always)]
    fn repeat(&self, key: &RepeatKey) -> Option<Repeat> {
        repeats::get(key)
    }
}
