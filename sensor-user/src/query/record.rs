//! A row of a query: input of the filter, and source of the JSON.

use std::net::Ipv6Addr;

use sensor_common::{IidClass, Kind, Proto};
use serde_json::{Map, Value, json};
use tattler_core::filter::{Field, FilterRow};
use tattler_core::names::Names;
use tattler_core::observation::{Contact, Probe};
use tattler_core::time::Time;

use super::Subject;

/// A row of a query: a probe, a contact or a local.
#[derive(Clone, Debug)]
pub struct QueryRecord<'n> {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) local: Ipv6Addr,
    pub(super) remote: Option<Ipv6Addr>,
    pub(super) kind: Option<Kind>,
    pub(super) proto: Option<Proto>,
    /// Port of the remote in a contact, of the target in a probe. `None` for echo requests, which have no ports.
    pub(super) port: Option<u16>,
    pub(super) local_port: Option<u16>,
    pub(super) source_port: Option<u16>,
    pub(super) hop_limit: Option<u8>,
    pub(super) count: u64,
    pub(super) device: Option<String>,
    pub(super) device_name: Option<&'n str>,
    pub(super) name: Option<String>,
    pub(super) label: Option<&'n str>,
    pub(super) answered: bool,
    pub(super) contacted_source: bool,
    pub(super) exposed: bool,
    pub(super) public: bool,
    /// Number of contacts of a local. The next field is the number of probes of the local.
    pub(super) contacts: u64,
    pub(super) probes: u64,
}

impl<'n> QueryRecord<'n> {
    /// A row for a local; all fields that are not given are unknown.
    pub(super) fn of_local(local: Ipv6Addr, first: Time, last: Time, device: Option<String>, names: &'n Names) -> Self {
        QueryRecord {
            first,
            last,
            local,
            remote: None,
            kind: None,
            proto: None,
            port: None,
            local_port: None,
            source_port: None,
            hop_limit: None,
            count: 0,
            device_name: device.as_deref().and_then(|id| names.device(id)),
            device,
            name: None,
            label: None,
            answered: false,
            contacted_source: false,
            exposed: false,
            public: names.is_public(local),
            contacts: 0,
            probes: 0,
        }
    }

    pub(super) fn of_contact(contact: Contact, names: &'n Names) -> Self {
        QueryRecord {
            remote: Some(contact.remote),
            proto: Some(contact.proto),
            port: (contact.proto != Proto::Icmpv6).then_some(contact.port),
            local_port: contact.local_port,
            count: contact.count.into(),
            name: contact.name,
            label: names.label(contact.remote),
            ..QueryRecord::of_local(contact.local, contact.ts, contact.last, contact.device, names)
        }
    }

    pub(super) fn of_probe(probe: Probe, names: &'n Names) -> Self {
        let proto = probe.kind.proto();
        QueryRecord {
            remote: Some(probe.source),
            kind: Some(probe.kind),
            proto: Some(proto),
            port: (proto != Proto::Icmpv6).then_some(probe.port),
            source_port: probe.traits.source_port,
            hop_limit: probe.traits.hop_limit,
            count: probe.count.into(),
            label: names.label(probe.source),
            answered: probe.answered,
            contacted_source: probe.contacted_source,
            ..QueryRecord::of_local(probe.target, probe.ts, probe.ts, probe.device, names)
        }
    }

    fn iid(&self) -> &'static str {
        IidClass::of(&self.local.octets()).as_str()
    }

    /// The columns of a subject, in the order of the table.
    pub(super) fn columns(subject: Subject) -> impl Iterator<Item = &'static str> {
        let columns = match subject {
            Subject::Probes | Subject::Scanners => {
                "ts source label target kind port count source_port hop_limit iid device device_name answered \
                 contacted_source exposed public"
            }
            Subject::Contacts => {
                "first last local remote name label proto port count local_port iid device device_name exposed public"
            }
            Subject::Locals => "local device device_name iid first last contacts count probes exposed public",
        };
        columns.split(' ')
    }

    pub(super) fn json(&self, subject: Subject) -> Map<String, Value> {
        QueryRecord::columns(subject).map(|column| (column.to_owned(), self.value(column))).collect()
    }

    fn value(&self, column: &str) -> Value {
        match column {
            "ts" | "first" => json!(self.first),
            "last" => json!(self.last),
            "source" | "remote" => json!(self.remote),
            "target" | "local" => json!(self.local),
            "label" => json!(self.label),
            "name" => json!(self.name),
            "kind" => json!(self.kind.map(Kind::as_str)),
            "proto" => json!(self.proto.map(Proto::as_str)),
            "port" => json!(self.port),
            "local_port" => json!(self.local_port),
            "source_port" => json!(self.source_port),
            "hop_limit" => json!(self.hop_limit),
            "count" => json!(self.count),
            "iid" => json!(self.iid()),
            "device" => json!(self.device),
            "device_name" => json!(self.device_name),
            "answered" => json!(self.answered),
            "contacted_source" => json!(self.contacted_source),
            "exposed" => json!(self.exposed),
            "public" => json!(self.public),
            "contacts" => json!(self.contacts),
            "probes" => json!(self.probes),
            _ => Value::Null,
        }
    }
}

impl FilterRow for QueryRecord<'_> {
    fn address(&self, field: Field) -> Option<Ipv6Addr> {
        match field {
            Field::Local => Some(self.local),
            Field::Remote => self.remote,
            _ => None,
        }
    }

    fn number(&self, field: Field) -> Option<u64> {
        match field {
            Field::Port => self.port.map(Into::into),
            Field::LocalPort => self.local_port.map(Into::into),
            Field::SourcePort => self.source_port.map(Into::into),
            Field::HopLimit => self.hop_limit.map(Into::into),
            Field::Count => Some(self.count),
            _ => None,
        }
    }

    fn word(&self, field: Field) -> Option<&'static str> {
        match field {
            Field::Kind => self.kind.map(Kind::as_str),
            Field::Proto => self.proto.map(Proto::as_str),
            Field::Iid => Some(self.iid()),
            _ => None,
        }
    }

    fn texts(&self, field: Field) -> [Option<&str>; 2] {
        match field {
            Field::Device => [self.device_name, self.device.as_deref()],
            Field::Name => [self.name.as_deref(), self.label],
            _ => [None, None],
        }
    }

    fn time(&self, field: Field) -> Option<Time> {
        match field {
            Field::First => Some(self.first),
            Field::Last => Some(self.last),
            _ => None,
        }
    }

    fn flag(&self, field: Field) -> bool {
        match field {
            Field::Answered => self.answered,
            Field::ContactedSource => self.contacted_source,
            Field::Exposed => self.exposed,
            Field::Public => self.public,
            _ => false,
        }
    }
}
