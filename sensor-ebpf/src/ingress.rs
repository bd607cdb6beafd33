//! From the internet: probes.

use sensor_common::counters::Fate;
use sensor_common::parse::{self, Detail};
use sensor_common::rules::{self, Inbound};
use sensor_common::wire::{BootTime, FlowKey, Repeat, What};
use sensor_common::{GiveUp, Kind, Link, Packet};

use crate::events::Told;
use crate::memory::Maps;
use crate::{budgets, clock, counters, events, inbound, locals, repeats};

/// Looks at one packet that came by the device with this index.
///
/// # Errors
/// What stopped the parser.
#[inline(always)]
pub fn see(packet: &impl Packet, ifindex: u32, link: Link) -> Result<(), GiveUp> {
    let found = parse::find(packet, link)?;
    let Some(kind) = found.signal.kind() else { return Ok(()) };
    let flow = rules::flow_key(&parse::tuple(packet, &found)?, false, kind.proto());
    let now = clock::now();
    match rules::inbound(&Maps, kind, &flow, now) {
        Inbound::Nothing | Inbound::Ours => {}
        Inbound::Begun => inbound::seen(&flow, now),
        Inbound::Probe(kind) => {
            let detail = parse::detail(packet, &found)?;
            counters::add(What::Probe, Fate::Matched);
            counters::add(What::Probe, probe(ifindex, kind, &flow, &detail, now));
        }
    }
    Ok(())
}

/// Records a probe: the first of its kind as an event, repeats in the map and now and then as an
/// event.
#[inline(always)]
fn probe(ifindex: u32, kind: Kind, flow: &FlowKey, detail: &Detail, now: BootTime) -> Fate {
    let key = rules::repeat_key(flow, kind);
    let unused = !locals::in_use(&flow.local);
    let known = repeats::get(&key);
    let mut repeat = known.unwrap_or_default();
    repeat.count = repeat.count.wrapping_add(1);

    let due = rules::repeat_is_due(&repeat, detail.hop_limit, now);
    if due && unused && !budgets::take(now) {
        if known.is_none() {
            if kind as u8 == Kind::Udp as u8 {
                // An answer to it must not become a contact with whoever the source claims to be.
                // Not into REPEATS, which a sweep would empty.
                inbound::seen(flow, now);
            }
            return Fate::HeldBack;
        }
    } else if due {
        let told = Told {
            what: What::Probe,
            number: kind as u8,
            count: repeat.count.wrapping_sub(repeat.told),
            unused,
            ifindex,
            now,
        };
        if !events::submit(&told, flow, detail) {
            // Not counted in the map either: the next probe of its kind is due again. But known, lest
            // the target's answer becomes a contact with whoever the source claims to be.
            let remote_port = flow.remote_port;
            repeats::set(&key, &Repeat { last: now, remote_port, ..known.unwrap_or_default() });
            return Fate::Lost;
        }
        repeat.told = repeat.count;
        repeat.reported = now;
    }
    let (hop_limit, remote_port) = (detail.hop_limit, flow.remote_port);
    repeats::set(&key, &Repeat { last: now, hop_limit, remote_port, ..repeat });
    Fate::Recorded
}
