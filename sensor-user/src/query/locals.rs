//! Locals: their times, contacts and probes.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use tattler_core::time::Time;

use super::Context;
use super::record::QueryRecord;
use crate::store::{Reader, ReplayError};

/// Maximum number of locals.
const MOST_LOCALS: usize = 200_000;

/// Calls `give` for each local with a contact between `since` and `until`; returns notes on omissions.
/// Targets without a contact are not listed: most are guesses of scanners.
pub(super) fn each<'n>(
    reader: &Reader,
    since: Time,
    until: Time,
    context: &Context<'n>,
    give: &mut dyn FnMut(QueryRecord<'n>),
) -> Result<Vec<String>, ReplayError> {
    let mut locals: HashMap<Ipv6Addr, QueryRecord<'n>> = HashMap::new();
    let mut left_out = 0u64;
    reader.contacts(since, until, &mut |contact| {
        context.read.fetch_add(1, Relaxed);
        if locals.len() >= MOST_LOCALS && !locals.contains_key(&contact.local) {
            left_out += 1;
            return ControlFlow::Continue(());
        }
        let (first, last) = (contact.ts, contact.last);
        let local = locals
            .entry(contact.local)
            .or_insert_with(|| QueryRecord::of_local(contact.local, first, last, None, context.names));
        if contact.device.is_some() && (local.device.is_none() || last >= local.last) {
            local.device_name = contact.device.as_deref().and_then(|id| context.names.device(id));
            local.device = contact.device;
        }
        local.first = local.first.min(first);
        local.last = local.last.max(last);
        local.contacts += 1;
        local.count += u64::from(contact.count);
        ControlFlow::Continue(())
    })?;
    reader.probes(since, until, &mut |probe| {
        context.read.fetch_add(1, Relaxed);
        if let Some(local) = locals.get_mut(&probe.target) {
            local.probes += u64::from(probe.count);
        }
        ControlFlow::Continue(())
    })?;
    let mut locals: Vec<QueryRecord<'n>> = locals.into_values().collect();
    locals.sort_unstable_by_key(|local| local.local);
    locals.into_iter().for_each(give);
    let note = format!("{left_out} contacts of locals beyond the first {MOST_LOCALS} are left out; give --since");
    Ok(if left_out > 0 { vec![note] } else { Vec::new() })
}
