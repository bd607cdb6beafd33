//! The fields of filters and the types of their values.

use sensor_common::{IidClass, Kind, Proto};

/// A field of a row. A filter is printed with the first name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The local: `local` of a contact, or `target` of a probe.
    Local,
    /// The remote: `remote` of a contact, or `source` of a probe.
    Remote,
    /// The remote's port of a contact, or the target's port of a probe.
    Port,
    /// The local's port of a contact.
    LocalPort,
    /// The source's port of a probe.
    SourcePort,
    /// Number of exchanges of a contact, or number of repeats of a probe.
    Count,
    /// The hop limit on arrival.
    HopLimit,
    /// The kind of a probe.
    Kind,
    /// The protocol: TCP, UDP or ICMPv6.
    Proto,
    /// The class of the local's interface identifier.
    Iid,
    /// The device that the local belongs to, by identifier or by name.
    Device,
    /// The remote's name as seen in DNS or TLS, or the label of its prefix.
    Name,
    /// The time of the first packet of a contact, or the time of a probe.
    First,
    /// The time of the last packet of a contact, or the time of a probe.
    Last,
    /// The span from the first to the last packet.
    Lasted,
    /// Whether the target answered.
    Answered,
    /// Whether the target had contacted the source before.
    ContactedSource,
    /// Whether the local answered any probe.
    Exposed,
    /// Whether the local is meant to be reached.
    Public,
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Addresses, tested against prefixes.
    Address,
    /// Whole numbers up to the maximum in the variant.
    Number(u64),
    /// Words of a closed set: the function that reads a word, and the expected words for an error message.
    Word(fn(&str) -> Option<&'static str>, &'static str),
    /// Free text; `*` in a pattern matches any text.
    Text,
    /// Points in time.
    Time,
    /// Spans of time.
    Span,
    /// Flags. A flag is true or false, and a filter tests it without a value.
    Flag,
}

const PORT: u64 = u16::MAX as u64;

impl Field {
    /// Every field.
    pub const ALL: [Field; 19] = [
        Field::Local,
        Field::Remote,
        Field::Port,
        Field::LocalPort,
        Field::SourcePort,
        Field::Count,
        Field::HopLimit,
        Field::Kind,
        Field::Proto,
        Field::Iid,
        Field::Device,
        Field::Name,
        Field::First,
        Field::Last,
        Field::Lasted,
        Field::Answered,
        Field::ContactedSource,
        Field::Exposed,
        Field::Public,
    ];

    /// The names of the field. Filters are printed with the first name.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Field::Local => &["local", "target"],
            Field::Remote => &["remote", "source"],
            Field::Port => &["port"],
            Field::LocalPort => &["local_port"],
            Field::SourcePort => &["source_port"],
            Field::Count => &["count"],
            Field::HopLimit => &["hop_limit"],
            Field::Kind => &["kind"],
            Field::Proto => &["proto"],
            Field::Iid => &["iid"],
            Field::Device => &["device"],
            Field::Name => &["name"],
            Field::First => &["first", "ts"],
            Field::Last => &["last"],
            Field::Lasted => &["lasted"],
            Field::Answered => &["answered"],
            Field::ContactedSource => &["contacted_source"],
            Field::Exposed => &["exposed"],
            Field::Public => &["public"],
        }
    }

    /// The name with which filters are printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.names()[0]
    }

    /// The field with a name, ignoring case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.names().iter().any(|known| known.eq_ignore_ascii_case(name)))
    }

    /// The type of the field's values.
    #[must_use]
    pub fn kind(self) -> Type {
        match self {
            Field::Local | Field::Remote => Type::Address,
            Field::Port | Field::LocalPort | Field::SourcePort => Type::Number(PORT),
            Field::HopLimit => Type::Number(255),
            Field::Count => Type::Number(u64::MAX),
            Field::Kind => Type::Word(|text| Some(Kind::from_name(text)?.as_str()), "echo, syn, udp or tcp-other"),
            Field::Proto => Type::Word(|text| Some(Proto::from_name(text)?.as_str()), "tcp, udp or icmpv6"),
            Field::Iid => Type::Word(
                |text| IidClass::ALL.iter().map(|class| class.as_str()).find(|name| *name == text),
                "eui64, isatap, embedded-port, embedded-ipv4, low-byte, pattern or random",
            ),
            Field::Device | Field::Name => Type::Text,
            Field::First | Field::Last => Type::Time,
            Field::Lasted => Type::Span,
            Field::Answered | Field::ContactedSource | Field::Exposed | Field::Public => Type::Flag,
        }
    }
}

/// The names of fields for an error message: `local (target), remote (source), port`.
pub fn list(fields: &[Field]) -> String {
    let names = |field: &Field| match field.names() {
        [name, other, ..] => format!("{name} ({other})"),
        _ => field.as_str().to_owned(),
    };
    fields.iter().map(names).collect::<Vec<_>>().join(", ")
}
