//! Reasons for the parser to stop early.

/// A reason to stop. All but [`GiveUp::NotIpv6`] are counted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GiveUp {
    /// No IPv6 packet. Irrelevant, and not counted.
    NotIpv6 = 0,
    /// A header reaches beyond the end of the packet.
    Truncated = 1,
    /// A header begins beyond [`FAR`](crate::packet::FAR).
    Far = 2,
    /// The link layer says IPv6, the version field says otherwise.
    BadVersion = 3,
    /// The upper-layer header reaches beyond the payload length: only link-layer padding follows, or
    /// a jumbogram has no jumbo payload option (RFC 2675).
    BadLength = 4,
    /// A third VLAN tag.
    TooManyTags = 5,
    /// A ninth extension header.
    TooManyHeaders = 6,
    /// A fourth IPv6 header inside the third.
    TooDeep = 7,
    /// A fragment that is not the first: only the first one has ports and types.
    LaterFragment = 8,
    /// An unknown link type (captures only).
    UnknownLink = 9,
}

impl GiveUp {
    /// Every reason that is counted, in the order of the counters.
    pub const COUNTED: [GiveUp; 9] = [
        GiveUp::Truncated,
        GiveUp::Far,
        GiveUp::BadVersion,
        GiveUp::BadLength,
        GiveUp::TooManyTags,
        GiveUp::TooManyHeaders,
        GiveUp::TooDeep,
        GiveUp::LaterFragment,
        GiveUp::UnknownLink,
    ];

    /// The name in metrics and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            GiveUp::NotIpv6 => "not_ipv6",
            GiveUp::Truncated => "truncated",
            GiveUp::Far => "far",
            GiveUp::BadVersion => "bad_version",
            GiveUp::BadLength => "bad_length",
            GiveUp::TooManyTags => "too_many_tags",
            GiveUp::TooManyHeaders => "too_many_headers",
            GiveUp::TooDeep => "too_deep",
            GiveUp::LaterFragment => "later_fragment",
            GiveUp::UnknownLink => "unknown_link",
        }
    }
}
