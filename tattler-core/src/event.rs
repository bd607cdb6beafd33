//! Converts events to observations. Events come from the kernel programs or from a capture.

use std::net::Ipv6Addr;

use sensor_common::rules::QUIET;
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Kind, Proto};

use crate::observation::{Answer, Contact, Observation, Probe, Traits};
use crate::time::Time;

/// The observation that an event describes; `None` if the event holds values that Tattler's programs never write.
///
/// `watched_since`: the time from which the programs have seen all packets, and so know the ports in use. `origin`:
/// the wall-clock time at which boot time was 0.
#[must_use]
pub fn observation(event: &Event, watched_since: BootTime, origin: Time) -> Option<Observation> {
    let ts = Time(origin.0.saturating_add(i64::try_from(event.time / 1_000).ok()?));
    let local = Ipv6Addr::from(event.local);
    let remote = Ipv6Addr::from(event.remote);
    let what = What::ALL.into_iter().find(|&what| what as u8 == event.what)?;
    Some(match what {
        What::Contact => {
            let proto = Proto::from_number(event.number)?;
            let icmp = proto == Proto::Icmpv6;
            Observation::Contact(Contact {
                ts,
                last: ts,
                local,
                remote,
                proto,
                port: if icmp { 0 } else { event.remote_port },
                local_port: (!icmp).then_some(event.local_port),
                count: event.count,
                name: None,
                device: None,
            })
        }
        What::Probe => {
            let kind = Kind::from_number(event.number)?;
            Observation::Probe(Probe {
                ts,
                source: remote,
                target: local,
                kind,
                port: port(kind, event),
                count: event.count.max(1),
                traits: traits(kind, event),
                contacted_source: false,
                answered: false,
                settling: kind == Kind::Udp && event.time.saturating_sub(watched_since) < QUIET,
                device: None,
            })
        }
        What::Answer => {
            let kind = Kind::from_number(event.number)?;
            Observation::Answer(Answer { ts, source: remote, target: local, kind, port: port(kind, event) })
        }
    })
}

/// Port of the target, 0 for echo requests. Echo requests have no port; the kernel program writes the echo identifier
/// into this field.
fn port(kind: Kind, event: &Event) -> u16 {
    if kind == Kind::Echo { 0 } else { event.local_port }
}

fn traits(kind: Kind, event: &Event) -> Traits {
    let echo = kind == Kind::Echo;
    let tcp = kind.proto() == Proto::Tcp;
    Traits {
        hop_limit: Some(event.hop_limit),
        flow_label: Some(event.flow_label),
        payload_len: Some(event.payload_len),
        source_port: (!echo).then_some(event.remote_port),
        icmp_id: echo.then_some(event.icmp_id),
        icmp_seq: echo.then_some(event.icmp_seq),
        window: tcp.then_some(event.window),
        tcp_flags: tcp.then_some(event.tcp_flags),
        payload_hash: None,
        tcp_options: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Time = Time::from_seconds(1_000);
    const SECOND: u64 = 1_000_000_000;

    fn event(what: What, number: u8) -> Event {
        let local = "2001:db8::e014:9aff:5e49:ecb3".parse::<Ipv6Addr>().unwrap().octets();
        let remote = "2a05::53".parse::<Ipv6Addr>().unwrap().octets();
        Event {
            time: 5 * SECOND,
            local,
            remote,
            count: 1,
            local_port: 22,
            remote_port: 53,
            what: what as u8,
            number,
            ..Event::default()
        }
    }

    #[test]
    fn a_contact_has_the_remotes_port_and_wall_clock_time() {
        let Some(Observation::Contact(contact)) = observation(&event(What::Contact, 17), 0, ORIGIN) else { panic!() };
        assert_eq!(
            (contact.ts, contact.proto, contact.port, contact.local_port),
            (Time::from_seconds(1_005), Proto::Udp, 53, Some(22))
        );
    }

    #[test]
    fn a_probe_has_the_targets_port() {
        let Some(Observation::Probe(probe)) = observation(&event(What::Probe, 2), 0, ORIGIN) else { panic!() };
        assert_eq!((probe.kind, probe.port, probe.traits.source_port), (Kind::Syn, 22, Some(53)));
        assert!(!probe.settling);
    }

    #[test]
    fn udp_probes_of_the_first_five_minutes_are_settling() {
        let settling = |time| match observation(&Event { time, ..event(What::Probe, 3) }, SECOND, ORIGIN) {
            Some(Observation::Probe(probe)) => probe.settling,
            _ => panic!(),
        };
        assert!(settling(300 * SECOND));
        assert!(!settling(301 * SECOND));
    }

    #[test]
    fn values_that_no_program_writes_are_refused() {
        assert_eq!(observation(&event(What::Probe, 0), 0, ORIGIN), None);
        assert_eq!(observation(&Event { what: 9, ..event(What::Probe, 2) }, 0, ORIGIN), None);
        assert_eq!(
            observation(&Event { time: u64::MAX, ..event(What::Contact, 6) }, 0, Time(i64::MAX)).map(|o| o.ts()),
            Some(Time(i64::MAX))
        );
    }
}
