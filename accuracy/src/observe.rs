//! A sensor's observations of a simulated home.

use homes::SimulatedHome;
use tattler_core::observation::{Contact, Observation, Probe, Traits};
use tattler_core::time::{Span, Time};

/// A time of the sensor's clock. Second 0 is midnight at the start of 2026-03-01, UTC.
#[must_use]
pub fn time(seconds: f64) -> Time {
    Time::from_seconds(1_772_323_200) + Span((seconds * 1e6) as i64)
}

/// The observations of a home, in the order of time.
#[must_use]
pub fn observe(home: &SimulatedHome) -> Vec<Observation> {
    home.seen(
        |at, life, visit| {
            let device = Some(format!("device-{}", life.device));
            let contact = Contact::new(time(at), life.address, visit.remote, visit.proto, visit.port);
            Observation::Contact(Contact { device, ..contact })
        },
        |at, seen| {
            let traits = Traits {
                hop_limit: Some(seen.hop_limit),
                source_port: seen.source_port,
                icmp_id: seen.icmp_id,
                icmp_seq: seen.icmp_id.map(|_| 0),
                payload_len: Some(seen.payload.0),
                payload_hash: (seen.payload.0 > 0).then(|| seen.payload.1.to_owned()),
                window: seen.tcp.map(|tcp| tcp.0),
                tcp_options: seen.tcp.map(|tcp| tcp.1.to_owned()),
                tcp_flags: seen.tcp.map(|_| 2),
                flow_label: Some(seen.flow_label),
            };
            Observation::Probe(Probe { traits, ..Probe::new(time(at), seen.source, seen.target, seen.kind, seen.port) })
        },
    )
}
