//! Warns that a host behind the router has a port open to strangers, once for each local and port.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use sensor_common::Kind;
use tattler_core::ledger::Ledger;
use tattler_core::observation::Answer;
use tattler_core::report::{exposed, shows_open_port};
use tracing::warn;

/// Pairs of local and port whose warning is remembered.
const REMEMBERED: usize = 16_384;
/// Warnings in an hour: a host that answers at every port does not fill the log.
const PER_HOUR: u32 = 20;
/// Searches of all contacts in an hour. Each takes milliseconds, and outsiders decide how many answers there are.
const LOOKS: u32 = 200;

/// The warnings so far.
pub struct OpenPorts {
    warned: HashSet<(Ipv6Addr, Kind, u16)>,
    left: u32,
    looks: u32,
    more: u64,
}

impl OpenPorts {
    /// An earlier run has warned of what the ledger knows already.
    #[must_use]
    pub fn new(ledger: &Ledger) -> OpenPorts {
        let known = exposed(ledger).into_iter().filter(|exposed| exposed.open).take(REMEMBERED);
        let kind = |name: &str| Kind::ALL.iter().copied().find(|kind| kind.as_str() == name);
        let warned = known.filter_map(|exposed| Some((exposed.local, kind(&exposed.kind)?, exposed.port))).collect();
        OpenPorts { warned, left: PER_HOUR, looks: LOOKS, more: 0 }
    }

    /// The line for an answer that shows an open port for the first time. The ledger must have the answer already.
    pub fn first_sight(&mut self, ledger: &Ledger, answer: &Answer) -> Option<String> {
        let key = (answer.target, answer.kind, answer.port);
        // An answer to a ping opens no port.
        if answer.kind == Kind::Echo || self.warned.contains(&key) {
            return None;
        }
        let local = ledger.id(answer.target).and_then(|id| ledger.local(id))?;
        if local.public {
            return None;
        }
        if self.left == 0 || self.looks == 0 {
            self.more += 1;
            return None;
        }
        self.looks -= 1;
        if !shows_open_port(ledger, answer) {
            return None;
        }
        if self.warned.len() >= REMEMBERED {
            self.warned.clear();
        }
        self.warned.insert(key);
        self.left -= 1;
        let device = local.device.and_then(|number| ledger.device(number));
        let device = device.map(|device| format!(" ({device})")).unwrap_or_default();
        let proto = if answer.kind == Kind::Udp { "udp" } else { "tcp" };
        Some(format!(
            "a host behind this router is open: {}{device} answered {proto}/{} to {}",
            answer.target, answer.port, answer.source
        ))
    }

    /// Starts another hour.
    pub fn next_hour(&mut self) {
        if self.more > 0 {
            warn!(more = self.more, "too many answers to probes to check each; `tattler status` lists the open ports");
        }
        (self.left, self.looks, self.more) = (PER_HOUR, LOOKS, 0);
    }
}

#[cfg(test)]
mod tests {
    use tattler_core::ledger::LedgerSettings;
    use tattler_core::observation::{Observation, Probe};
    use tattler_core::time::Time;

    use super::*;

    fn answer(ledger: &mut Ledger, kind: Kind, port: u16) -> Answer {
        let (source, target) = ("2a0d:5600::29".parse().unwrap(), "2001:db8::e014:9aff:5e49:ecb3".parse().unwrap());
        let ts = Time(0);
        let probe = Probe::new(ts, source, target, kind, port);
        let answer = Answer { ts, source, target, kind, port };
        ledger.observe(&Observation::Probe(probe));
        ledger.observe(&Observation::Answer(answer.clone()));
        answer
    }

    #[test]
    fn an_open_port_is_logged_once_even_across_a_restart_and_a_ping_never() {
        let mut ledger = Ledger::new(LedgerSettings::default());
        let mut open = OpenPorts::new(&ledger);
        let ping = answer(&mut ledger, Kind::Echo, 0);
        assert_eq!(open.first_sight(&ledger, &ping), None);
        let ssh = answer(&mut ledger, Kind::Syn, 22);
        assert_eq!(
            open.first_sight(&ledger, &ssh).unwrap(),
            "a host behind this router is open: 2001:db8::e014:9aff:5e49:ecb3 answered tcp/22 to 2a0d:5600::29"
        );
        assert_eq!(open.first_sight(&ledger, &ssh), None);
        assert_eq!(OpenPorts::new(&ledger).first_sight(&ledger, &ssh), None);
    }

    #[test]
    fn a_host_that_answers_at_every_port_does_not_fill_the_log() {
        let mut ledger = Ledger::new(LedgerSettings::default());
        let mut open = OpenPorts::new(&ledger);
        let mut warnings = |open: &mut OpenPorts, ports: std::ops::Range<u16>| {
            let warned = ports.filter(|&port| {
                let answer = answer(&mut ledger, Kind::Syn, port);
                open.first_sight(&ledger, &answer).is_some()
            });
            warned.count()
        };
        assert_eq!(warnings(&mut open, 1..100), PER_HOUR as usize);
        open.next_hour();
        assert_eq!(warnings(&mut open, 100..200), PER_HOUR as usize);
    }
}
