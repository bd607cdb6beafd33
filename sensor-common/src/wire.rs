//! Records that cross the kernel boundary: events in the ring, keys and values in the maps.
//!
//! Plain integers and byte arrays, no padding, no `bool`, no enum: any bytes are a valid record.
//! Decoding rejects invalid values. Times are nanoseconds since boot, suspend included
//! (CLOCK_BOOTTIME); those of a capture are nanoseconds since 1970.

use crate::GiveUp;
use crate::parse::{Address, Header};

/// Nanoseconds since boot. In a capture, since 1970.
pub type BootTime = u64;

/// The kind of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// A local began or continued an exchange with a remote.
    Contact = 1,
    /// A local received an unsolicited packet.
    Probe = 2,
    /// A local answered a probe.
    Answer = 3,
}

impl What {
    /// Every value, in the order of the counters.
    pub const ALL: [What; 3] = [What::Contact, What::Probe, What::Answer];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Contact => "contact",
            What::Probe => "probe",
            What::Answer => "answer",
        }
    }
}

/// Defines the records, and keeps their fields as text for the hash in [`layout`](crate::layout).
macro_rules! records {
    ($($(#[$meta:meta])* pub struct $record:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* })*) => {
        $($(#[$meta])* pub struct $record { $($(#[$field_meta])* pub $field: $type,)* })*

        /// The records, their fields and sizes in bytes.
        pub(crate) const RECORDS: &[(&str, usize)] = &[
            $((stringify!($record { $($field: $type),* }), core::mem::size_of::<$record>()),)*
        ];
    };
}

records! {
    /// One event in the ring.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Event {
        /// When the packet was seen.
        pub time: BootTime,
        /// The address in a home prefix.
        pub local: Address,
        /// The address outside.
        pub remote: Address,
        /// The uplink that it was seen on.
        pub ifindex: u32,
        /// Exchanges begun, or probes seen, since the last event of the same kind; 0 for a refresh.
        pub count: u32,
        /// See [`Detail`](crate::parse::Detail), also for the fields of the same names below.
        pub flow_label: u32,
        /// The local's port; the echo identifier for ICMPv6.
        pub local_port: u16,
        /// The remote's port; the echo identifier for ICMPv6.
        pub remote_port: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub payload_len: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub window: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub icmp_id: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub icmp_seq: u16,
        /// [`What`].
        pub what: u8,
        /// The number of a [`Kind`](crate::Kind) in a probe or an answer, of a
        /// [`Proto`](crate::Proto) in a contact.
        pub number: u8,
        #[expect(missing_docs, reason = "as in Detail")]
        pub hop_limit: u8,
        #[expect(missing_docs, reason = "as in Detail")]
        pub tcp_flags: u8,
        /// 1 if the target was not seen in use.
        pub unused: u8,
        /// Always 0.
        pub reserved: [u8; 3],
        /// Always 0.
        #[cfg(feature = "other-layout")]
        pub more: u64,
    }

    /// An exchange: a 5-tuple seen from the local's side.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(C)]
    pub struct FlowKey {
        /// The address in a home prefix.
        pub local: Address,
        /// The address outside.
        pub remote: Address,
        /// The local's port; the echo identifier for ICMPv6.
        pub local_port: u16,
        /// The remote's port; the echo identifier for ICMPv6.
        pub remote_port: u16,
        /// The number of a [`Proto`](crate::Proto).
        pub proto: u8,
        /// Always 0.
        pub reserved: [u8; 3],
    }

    /// An exchange's times.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Flow {
        /// The last packet. For an exchange begun inside, only packets out count.
        pub last: BootTime,
        /// When local, port and pair were last refreshed for this exchange.
        pub refreshed: BootTime,
    }

    /// A port that a local sends UDP from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(C)]
    pub struct PortKey {
        /// The address in a home prefix.
        pub local: Address,
        /// The local's UDP port.
        pub port: u16,
        /// Always 0.
        pub reserved: [u8; 2],
    }

    /// A local and a remote that it contacted.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(C)]
    pub struct PairKey {
        /// The address in a home prefix.
        pub local: Address,
        /// The address outside.
        pub remote: Address,
    }

    /// The latest contact of a pair.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Pair {
        /// The last contact or refresh.
        pub last: BootTime,
        /// The last event; 0 if none got through.
        pub reported: BootTime,
        /// Exchanges begun since the last event.
        pub count: u32,
        /// The remote's port in the latest contact.
        pub port: u16,
        /// The protocol of the latest contact.
        pub proto: u8,
        /// Always 0.
        pub reserved: u8,
    }

    /// One kind of probe from one source to one target.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(C)]
    pub struct RepeatKey {
        /// The target.
        pub local: Address,
        /// The source.
        pub remote: Address,
        /// The target's port, 0 for echo requests.
        pub port: u16,
        /// The number of a [`Kind`](crate::Kind).
        pub kind: u8,
        /// Always 0.
        pub reserved: u8,
    }

    /// The state of such probes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Repeat {
        /// The last probe.
        pub last: BootTime,
        /// The last event.
        pub reported: BootTime,
        /// Probes since the entry was made.
        pub count: u32,
        /// How many of them events have reported.
        pub told: u32,
        /// 1 after an event has reported the target's answer.
        pub answered: u8,
        /// Hop limit of the last probe.
        pub hop_limit: u8,
        /// The source's port in the last probe.
        pub remote_port: u16,
        /// Always 0.
        pub reserved: [u8; 4],
    }

    /// A budget: events that may still be submitted, refilled as time passes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Budget {
        /// When it was last refilled.
        pub refilled: BootTime,
        /// Events left.
        pub left: u64,
    }

    /// The parser's result for one packet, for the test that compares kernel and user space.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Classified {
        /// Source address.
        pub src: Address,
        /// Destination address.
        pub dst: Address,
        #[expect(missing_docs, reason = "as in Detail")]
        pub flow_label: u32,
        /// Source port, or echo identifier.
        pub src_port: u16,
        /// Destination port, or echo identifier.
        pub dst_port: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub payload_len: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub window: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub icmp_id: u16,
        #[expect(missing_docs, reason = "as in Detail")]
        pub icmp_seq: u16,
        /// [`GiveUp`] and 1 more, so that 0 is none.
        pub gave_up: u8,
        /// [`Signal`](crate::Signal).
        pub signal: u8,
        #[expect(missing_docs, reason = "as in Detail")]
        pub hop_limit: u8,
        #[expect(missing_docs, reason = "as in Detail")]
        pub tcp_flags: u8,
    }
}

impl Event {
    /// Size in the ring, in bytes.
    pub const SIZE: usize = if cfg!(feature = "other-layout") { 80 } else { 72 };

    /// Decodes a record. `None` if its length is not [`Event::SIZE`].
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Event> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let mut rest: &[u8] = bytes;
        // `take` can't fail: the sizes below add up to `SIZE`, which a test checks.
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (head, tail) = rest.split_first_chunk::<N>()?;
            *rest = tail;
            Some(*head)
        }
        Some(Event {
            time: u64::from_ne_bytes(take(&mut rest)?),
            local: take(&mut rest)?,
            remote: take(&mut rest)?,
            ifindex: u32::from_ne_bytes(take(&mut rest)?),
            count: u32::from_ne_bytes(take(&mut rest)?),
            flow_label: u32::from_ne_bytes(take(&mut rest)?),
            local_port: u16::from_ne_bytes(take(&mut rest)?),
            remote_port: u16::from_ne_bytes(take(&mut rest)?),
            payload_len: u16::from_ne_bytes(take(&mut rest)?),
            window: u16::from_ne_bytes(take(&mut rest)?),
            icmp_id: u16::from_ne_bytes(take(&mut rest)?),
            icmp_seq: u16::from_ne_bytes(take(&mut rest)?),
            what: u8::from_ne_bytes(take(&mut rest)?),
            number: u8::from_ne_bytes(take(&mut rest)?),
            hop_limit: u8::from_ne_bytes(take(&mut rest)?),
            tcp_flags: u8::from_ne_bytes(take(&mut rest)?),
            unused: u8::from_ne_bytes(take(&mut rest)?),
            reserved: take(&mut rest)?,
            #[cfg(feature = "other-layout")]
            more: u64::from_ne_bytes(take(&mut rest)?),
        })
    }
}

impl Classified {
    /// Makes a record of the parser's result.
    #[inline(always)]
    #[must_use]
    pub fn new(parsed: Result<Header, GiveUp>) -> Classified {
        let Header { signal, tuple, detail } = match parsed {
            Ok(header) => header,
            Err(reason) => return Classified { gave_up: reason as u8 + 1, ..Classified::default() },
        };
        Classified {
            src: tuple.src,
            dst: tuple.dst,
            flow_label: detail.flow_label,
            src_port: tuple.src_port,
            dst_port: tuple.dst_port,
            payload_len: detail.payload_len,
            window: detail.window,
            icmp_id: detail.icmp_id,
            icmp_seq: detail.icmp_seq,
            gave_up: 0,
            signal: signal as u8,
            hop_limit: detail.hop_limit,
            tcp_flags: detail.tcp_flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{align_of, offset_of, size_of};

    #[test]
    fn records_have_no_padding() {
        assert_eq!(
            size_of::<Event>(),
            8 + 2 * 16 + 3 * 4 + 6 * 2 + 5 + 3 + if cfg!(feature = "other-layout") { 8 } else { 0 }
        );
        assert_eq!(size_of::<Event>(), Event::SIZE);
        assert_eq!(size_of::<FlowKey>(), 2 * 16 + 2 * 2 + 1 + 3);
        assert_eq!(size_of::<Flow>(), 2 * 8);
        assert_eq!(size_of::<PortKey>(), 16 + 2 + 2);
        assert_eq!(size_of::<PairKey>(), 2 * 16);
        assert_eq!(size_of::<Pair>(), 2 * 8 + 4 + 2 + 1 + 1);
        assert_eq!(size_of::<RepeatKey>(), 2 * 16 + 2 + 1 + 1);
        assert_eq!(size_of::<Repeat>(), 2 * 8 + 2 * 4 + 2 + 2 + 4);
        assert_eq!(size_of::<Budget>(), 2 * 8);
        assert_eq!(size_of::<Classified>(), 2 * 16 + 4 + 6 * 2 + 4);
        assert_eq!(align_of::<Event>(), 8);
    }

    #[test]
    fn an_event_is_decoded_field_by_field_from_its_bytes() {
        let mut bytes = [0u8; Event::SIZE];
        bytes[offset_of!(Event, time)..][..8].copy_from_slice(&7u64.to_ne_bytes());
        bytes[offset_of!(Event, local)] = 0x20;
        bytes[offset_of!(Event, remote)] = 0x2a;
        bytes[offset_of!(Event, count)..][..4].copy_from_slice(&5u32.to_ne_bytes());
        bytes[offset_of!(Event, remote_port)..][..2].copy_from_slice(&443u16.to_ne_bytes());
        bytes[offset_of!(Event, icmp_seq)..][..2].copy_from_slice(&9u16.to_ne_bytes());
        bytes[offset_of!(Event, what)] = What::Probe as u8;
        bytes[offset_of!(Event, number)] = 2;
        bytes[offset_of!(Event, unused)] = 1;
        let mut event = Event {
            time: 7,
            count: 5,
            remote_port: 443,
            icmp_seq: 9,
            what: 2,
            number: 2,
            unused: 1,
            ..Event::default()
        };
        event.local[0] = 0x20;
        event.remote[0] = 0x2a;
        assert_eq!(Event::decode(&bytes), Some(event));
    }

    #[test]
    fn a_record_of_another_length_is_refused() {
        assert_eq!(Event::decode(&[0; Event::SIZE - 1]), None);
        assert_eq!(Event::decode(&[0; Event::SIZE + 1]), None);
    }
}
