//! Joins the two records of an exchange, one record for each direction. A half is one such record.

use std::collections::{HashMap, VecDeque};
use std::mem;

use sensor_common::parse::{Address, Tuple};
use sensor_common::{Proto, Signal};
use tattler_core::time::{Span, Time};

use super::{FlowHalf, FlowRecord, LineOrigin};

/// The longest pause in an exchange, as in the rules.
const QUIET: Span = Span::from_seconds(300);
/// Time for which a half waits for its counterpart, according to the times in the records. Exporters write both
/// halves within their time-outs, and collectors start a file every five minutes.
const WAIT: Span = Span::from_seconds(900);
/// The most halves that wait, with a memory use of about 20 MB.
const MOST: usize = 1 << 17;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Both ends, in the order of their addresses, and the protocol.
type Key = ((Address, u16), (Address, u16), Proto);

/// The halves that wait for their counterparts.
#[derive(Default)]
pub struct FlowHalves {
    waiting: HashMap<Key, Waiting>,
    /// Keys in the order of arrival. A key stays in the queue after its half was removed.
    queue: VecDeque<(Key, u64)>,
    arrived: u64,
    latest: Option<Time>,
}

#[derive(Clone, Copy)]
struct Waiting {
    half: FlowHalf,
    origin: LineOrigin,
    arrived: u64,
}

impl FlowHalves {
    /// Adds a half. `emit` gets the exchanges that are then complete.
    pub fn push(&mut self, half: FlowHalf, origin: LineOrigin, emit: &mut dyn FnMut(FlowRecord, LineOrigin)) {
        self.latest = self.latest.max(Some(half.last));
        let key = key(&half);
        self.arrived += 1;
        let new = Waiting { half, origin, arrived: self.arrived };
        match self.waiting.get_mut(&key) {
            Some(known) if is_near(&known.half, &half) => {
                if known.half.tuple.src == half.tuple.src && known.half.tuple.src_port == half.tuple.src_port {
                    // The exchange continues, or a second router also exported the half.
                    let before = &mut known.half;
                    before.first = before.first.min(half.first);
                    before.last = before.last.max(half.last);
                    let both = before.flags.zip(half.flags).map(|(one, other)| one | other);
                    before.flags = both.or(before.flags).or(half.flags);
                    known.origin = known.origin.and(origin);
                } else {
                    let known = *known;
                    self.waiting.remove(&key);
                    let record = both(&known.half, &half);
                    record.into_iter().for_each(|record| emit(record, known.origin.and(origin)));
                }
            }
            Some(known) => {
                let before = mem::replace(known, new);
                self.queue.push_back((key, new.arrived));
                alone(&before.half).into_iter().for_each(|record| emit(record, before.origin));
            }
            None => {
                self.waiting.insert(key, new);
                self.queue.push_back((key, new.arrived));
            }
        }
        self.give_up(emit);
    }

    /// The first line of the waiting halves.
    #[must_use]
    pub fn earliest(&self) -> Option<(usize, u64)> {
        self.waiting.values().map(|waiting| waiting.origin.at).min()
    }

    /// Emits all halves: no more halves follow, or only records from another time.
    pub fn flush(&mut self, emit: &mut dyn FnMut(FlowRecord, LineOrigin)) {
        self.latest = None;
        for (key, arrived) in mem::take(&mut self.queue) {
            self.release(key, arrived, emit);
        }
    }

    fn give_up(&mut self, emit: &mut dyn FnMut(FlowRecord, LineOrigin)) {
        while let Some(&(key, arrived)) = self.queue.front() {
            let has_waited = self.waiting.get(&key).is_none_or(|waiting| {
                waiting.arrived != arrived || self.latest.is_some_and(|latest| latest - waiting.half.last > WAIT)
            });
            if !has_waited && self.queue.len() <= MOST {
                return;
            }
            self.queue.pop_front();
            self.release(key, arrived, emit);
        }
    }

    /// Emits the half under `key`, if this half has the arrival number `arrived`.
    fn release(&mut self, key: Key, arrived: u64, emit: &mut dyn FnMut(FlowRecord, LineOrigin)) {
        if self.waiting.get(&key).is_some_and(|waiting| waiting.arrived == arrived)
            && let Some(Waiting { half, origin, .. }) = self.waiting.remove(&key)
        {
            alone(&half).into_iter().for_each(|record| emit(record, origin));
        }
    }
}

fn key(half: &FlowHalf) -> Key {
    let Tuple { src, dst, src_port, dst_port } = half.tuple;
    let (from, to) = ((src, src_port), (dst, dst_port));
    (from.min(to), from.max(to), half.proto)
}

fn is_near(a: &FlowHalf, b: &FlowHalf) -> bool {
    a.first - b.last < QUIET && b.first - a.last < QUIET
}

/// The exchange of two halves, if the exporter saw the beginning.
fn both(a: &FlowHalf, b: &FlowHalf) -> Option<FlowRecord> {
    // If times are in whole seconds, both halves may have the same beginning. The service then has the lower port.
    let rank = |half: &FlowHalf| (half.is_reply, is_answer(half), half.first, half.tuple.dst_port, half.tuple.src_port);
    let (opening, reply) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
    let begins = begins(opening)?;
    let answered = match opening.proto {
        Proto::Tcp => reply.flags.is_some_and(|flags| flags & SYN != 0),
        Proto::Udp => true,
        Proto::Icmpv6 => reply.is_reply,
    };
    let (first, last) = (a.first.min(b.first), a.last.max(b.last));
    Some(FlowRecord { first, last, tuple: opening.tuple, begins, answered, flags: opening.flags })
}

/// The exchange of a half without a counterpart, if the exporter saw the beginning.
fn alone(half: &FlowHalf) -> Option<FlowRecord> {
    // Both sides send SYN and ACK: the initiator in two packets, the responder in one packet. The responder is a
    // service, which has the lower port.
    let sent_both = half.flags.is_some_and(|flags| flags & (SYN | ACK) == SYN | ACK);
    if half.is_reply || is_answer(half) || sent_both && half.tuple.src_port < half.tuple.dst_port {
        return None;
    }
    let FlowHalf { first, last, tuple, flags, .. } = *half;
    Some(FlowRecord { first, last, tuple, begins: begins(half)?, answered: false, flags })
}

/// Whether the half is TCP without a SYN. Such a half opens no exchange.
fn is_answer(half: &FlowHalf) -> bool {
    half.flags.is_some_and(|flags| flags & ACK != 0 && flags & SYN == 0)
}

/// The signal at the beginning of the half; `None` if the exporter did not see the beginning.
fn begins(half: &FlowHalf) -> Option<Signal> {
    match half.proto {
        Proto::Icmpv6 => (!half.is_reply).then_some(Signal::Echo),
        Proto::Udp => Some(Signal::Udp),
        Proto::Tcp => match half.flags? {
            flags if flags & SYN != 0 => Some(Signal::Syn),
            // The exporter does not record flags.
            0 => None,
            flags => Some(Signal::of_tcp(flags)).filter(|&signal| signal == Signal::TcpOther),
        },
    }
}
