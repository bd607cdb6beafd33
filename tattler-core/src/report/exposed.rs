//! Locals that answered a probe: hosts behind the router that strangers can reach.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;

use sensor_common::Kind;
use serde::{Deserialize, Serialize};

use crate::ledger::{AddrId, Ledger, ProbeRow};
use crate::observation::Answer;
use crate::time::Time;

/// A local that answered probes of one kind and port. Public locals are not included, as they are meant to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposed {
    /// The local that answered.
    pub local: Ipv6Addr,
    /// The local's device, where known.
    pub device: Option<String>,
    /// The kind of the probe: echo, syn, udp.
    pub kind: String,
    /// The local's port, 0 for echo requests.
    pub port: u16,
    /// The answer: echo-reply, syn-ack, udp.
    pub answer: String,
    /// The source of the latest answered probe.
    pub source: Ipv6Addr,
    /// Time of the first answered probe.
    pub first: Time,
    /// Time of the last answered probe.
    pub last: Time,
    /// Number of distinct sources of answered probes.
    pub sources: u64,
    /// Whether the port is open to strangers. False for echo replies, and also if the local answered only remotes
    /// that it had contacted itself: the local may have asked for the probe (active FTP, a server that checks its
    /// clients).
    pub open: bool,
}

impl Exposed {
    /// Whether the local answered echo requests.
    fn is_ping(&self) -> bool {
        self.kind == Kind::Echo.as_str()
    }

    /// The service in short form: `tcp/22`, `udp/53`, `ping`.
    #[must_use]
    pub fn service(&self) -> String {
        match self.kind.as_str() {
            "syn" | "tcp-other" => format!("tcp/{}", self.port),
            "udp" => format!("udp/{}", self.port),
            _ => "ping".to_owned(),
        }
    }
}

/// All exposed locals. The local with the latest answer comes first.
#[must_use]
pub fn exposed(ledger: &Ledger) -> Vec<Exposed> {
    let is_public = |id| ledger.local(id).is_some_and(|local| local.public);
    let rows: Vec<&ProbeRow> = ledger.probes().iter().filter(|row| row.answered && !is_public(row.target)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let contacted = contacts_of(ledger, &rows);
    let mut found: BTreeMap<(AddrId, Kind, u16), Exposed> = BTreeMap::new();
    for row in rows {
        let asked =
            row.contacted_source || contacted.get(&(row.target, row.source)).is_some_and(|&first| first < row.first);
        let entry = found.entry((row.target, row.kind, row.port)).or_insert_with(|| Exposed {
            local: ledger.address(row.target),
            device: ledger
                .local(row.target)
                .and_then(|local| local.device)
                .and_then(|n| ledger.device(n))
                .map(Into::into),
            kind: row.kind.as_str().to_owned(),
            port: row.port,
            answer: answer(row.kind).to_owned(),
            source: ledger.address(row.source),
            first: row.first,
            last: row.last,
            sources: 0,
            open: false,
        });
        entry.sources += 1;
        entry.open |= row.kind != Kind::Echo && !asked;
        entry.first = entry.first.min(row.first);
        let source = ledger.address(row.source);
        if (row.last, source) > (entry.last, entry.source) {
            (entry.last, entry.source) = (row.last, source);
        }
    }
    let mut found: Vec<Exposed> = found.into_values().collect();
    found.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| (a.local, a.port).cmp(&(b.local, b.port))));
    found
}

/// Whether an answer shows a port open to strangers: its probe is known, and its local is not public and had not
/// contacted the source before. Scans all contacts.
#[must_use]
pub fn shows_open_port(ledger: &Ledger, answer: &Answer) -> bool {
    let ids = ledger.id(answer.source).zip(ledger.id(answer.target));
    let row = ids.and_then(|(source, target)| ledger.probe_of(source, target, answer.kind, answer.port));
    let Some(row) = row.filter(|row| row.answered && row.kind != Kind::Echo && !row.contacted_source) else {
        return false;
    };
    let is_public = ledger.local(row.target).is_some_and(|local| local.public);
    let contacted = || contacts_of(ledger, &[row]).values().any(|&first| first < row.first);
    !is_public && !contacted()
}

/// The number of locals with an open port.
#[must_use]
pub fn open_locals(exposed: &[Exposed]) -> u64 {
    let mut locals: Vec<Ipv6Addr> = exposed.iter().filter(|exposed| exposed.open).map(|e| e.local).collect();
    locals.sort_unstable();
    locals.dedup();
    locals.len() as u64
}

/// Removes the answers to pings and sorts open ports first. Returns the number of locals that answered pings.
#[must_use]
pub fn split_pings(exposed: &mut Vec<Exposed>) -> u64 {
    // A local has one entry for all pings.
    let all = exposed.len();
    exposed.retain(|exposed| !exposed.is_ping());
    let pings = (all - exposed.len()) as u64;
    exposed.sort_by_key(|exposed| !exposed.open);
    pings
}

/// The time of the first contact of each target in `rows` with the source of its probe.
fn contacts_of(ledger: &Ledger, rows: &[&ProbeRow]) -> HashMap<(AddrId, AddrId), Time> {
    let mut pairs: HashMap<(AddrId, AddrId), Time> =
        rows.iter().map(|row| ((row.target, row.source), Time(i64::MAX))).collect();
    for contact in ledger.contacts() {
        if let Some(first) = pairs.get_mut(&(contact.local, contact.remote)) {
            *first = contact.first.min(*first);
        }
    }
    pairs
}

fn answer(kind: Kind) -> &'static str {
    match kind {
        Kind::Echo => "echo-reply",
        Kind::Syn | Kind::TcpOther => "syn-ack",
        Kind::Udp => "udp",
    }
}

#[cfg(test)]
mod tests {
    use sensor_common::Proto;

    use super::*;
    use crate::ledger::LedgerSettings;
    use crate::observation::{Contact, Observation, Probe};

    const LOCAL: &str = "2001:db8::e014:9aff:5e49:ecb3";
    const SERVER: &str = "2001:db8::80";
    const STRANGER: &str = "2a0d:5600::29";

    fn probed(ts: i64, source: &str, target: &str, kind: Kind, port: u16) -> [Observation; 2] {
        let (source, target, ts) = (source.parse().unwrap(), target.parse().unwrap(), Time::from_seconds(ts));
        let probe = Probe::new(ts, source, target, kind, port);
        [Observation::Probe(probe), Observation::Answer(Answer { ts, source, target, kind, port })]
    }

    fn contacted(ts: i64, remote: &str) -> Observation {
        let (local, remote, ts) = (LOCAL.parse().unwrap(), remote.parse().unwrap(), Time::from_seconds(ts));
        Observation::Contact(Contact {
            device: Some("printer".into()),
            ..Contact::new(ts, local, remote, Proto::Tcp, 21)
        })
    }

    fn seen(observations: &[Observation]) -> Ledger {
        let mut ledger = Ledger::new(LedgerSettings {
            public: vec![format!("{SERVER}/128").parse().unwrap()],
            ..LedgerSettings::default()
        });
        observations.iter().for_each(|observation| ledger.observe(observation));
        ledger
    }

    #[test]
    fn an_open_port_is_listed_with_its_answer_and_latest_source() {
        let mut all = vec![contacted(0, "2a05::80")];
        all.extend(probed(5, STRANGER, LOCAL, Kind::Syn, 22));
        all.extend(probed(9, "2a0d:5600::30", LOCAL, Kind::Syn, 22));
        let ledger = seen(&all);
        let [found] = &exposed(&ledger)[..] else { panic!("one") };
        assert_eq!((found.service().as_str(), found.answer.as_str(), found.open), ("tcp/22", "syn-ack", true));
        assert_eq!((found.source.to_string().as_str(), found.sources), ("2a0d:5600::30", 2));
        assert_eq!(found.device.as_deref(), Some("printer"));
        assert_eq!(open_locals(&exposed(&ledger)), 1);
    }

    #[test]
    fn unanswered_probes_and_public_locals_are_not_listed() {
        let [asked, _] = probed(5, STRANGER, LOCAL, Kind::Syn, 22);
        let [probe, answer] = probed(6, STRANGER, SERVER, Kind::Syn, 443);
        assert_eq!(exposed(&seen(&[asked, probe, answer])), []);
    }

    #[test]
    fn an_echo_reply_is_listed_but_opens_no_port() {
        let found = exposed(&seen(&probed(5, STRANGER, LOCAL, Kind::Echo, 0)));
        assert_eq!((found[0].service().as_str(), found[0].open), ("ping", false));
        assert_eq!(open_locals(&found), 0);
    }

    #[test]
    fn open_ports_come_first_and_pings_are_counted() {
        let mut all = vec![contacted(0, "2a05::21")];
        all.extend(probed(5, STRANGER, LOCAL, Kind::Syn, 22));
        all.extend(probed(7, "2a05::21", LOCAL, Kind::Syn, 40_001));
        for source in [STRANGER, "2a0d:5600::30"] {
            all.extend(probed(9, source, LOCAL, Kind::Echo, 0));
        }
        all.extend(probed(9, STRANGER, "2001:db8::1234", Kind::Echo, 0));
        let mut found = exposed(&seen(&all));
        assert_eq!(found.len(), 4);
        assert_eq!(split_pings(&mut found), 2);
        let services: Vec<String> = found.iter().map(Exposed::service).collect();
        assert_eq!(services, ["tcp/22", "tcp/40001"]);
    }

    #[test]
    fn a_port_is_open_only_if_a_stranger_got_an_answer() {
        let mut all = vec![contacted(0, "2a05::21")];
        all.extend(probed(5, "2a05::21", LOCAL, Kind::Syn, 40_001));
        assert!(!exposed(&seen(&all))[0].open);
        all.extend(probed(6, STRANGER, LOCAL, Kind::Syn, 40_001));
        assert!(exposed(&seen(&all))[0].open);
    }

    #[test]
    fn an_answer_to_udp_that_is_no_probe_exposes_nobody() {
        let [Observation::Probe(probe), answer] = probed(5, STRANGER, LOCAL, Kind::Udp, 6881) else { panic!() };
        let ledger = seen(&[Observation::Probe(Probe { settling: true, ..probe }), answer]);
        assert_eq!(exposed(&ledger), []);
        assert!(!ledger.locals().iter().any(|local| local.exposed));
    }
}
