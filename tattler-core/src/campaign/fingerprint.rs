//! The fingerprint of a probe: the marks of the tool that sent the probe, from the source's side only.
//!
//! A trait is not a mark if it was not seen or changes from probe to probe. Such a trait agrees with any value.
//! Firewall logs and flow records lack most traits.

use std::collections::HashMap;

use sensor_common::Kind;

use super::syn_options::SynOptions;
use crate::ledger::{Ledger, PackedTraits, ProbeRow};

/// The marks of a tool for one kind of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint {
    pub(super) kind: Kind,
    marks: [Option<u32>; MARKS],
}

const WINDOW: usize = 0;
const OPTIONS: usize = 1;
const FLAGS: usize = 2;
/// The initial hop limit, estimated from the hop limit on arrival.
const HOPS: usize = 3;
const LENGTH: usize = 4;
const PAYLOAD: usize = 5;
/// 1: the probe has no flow label. Kernels set a flow label.
const UNLABELLED: usize = 6;
/// 1: the strand has one source port for all probes. Kernels use another source port for each probe.
const ONE_PORT: usize = 7;
const MARKS: usize = 8;

/// The minimum number of rows after which a source port that never changed counts as constant.
const CONSTANT: u32 = 4;

impl Fingerprint {
    /// Number of known marks.
    pub(super) fn known(&self) -> usize {
        self.marks.iter().flatten().count()
    }

    /// Whether all marks that are known in both fingerprints are equal.
    pub(super) fn agrees(&self, other: &Fingerprint) -> bool {
        self.kind == other.kind
            && self.marks.iter().zip(&other.marks).all(|(a, b)| a.is_none() || b.is_none() || a == b)
    }

    /// The tool: the marks that a single probe shows.
    pub(super) fn tool(mut self) -> Fingerprint {
        self.marks[ONE_PORT] = None;
        self
    }

    /// Whether no kernel sends such packets, so that a program made the packets itself. Sources in different networks
    /// that share such a tool may be one scanner. Two machines that both run Linux are no evidence of one scanner.
    pub(super) fn is_distinctive(&self, forms: &Forms) -> bool {
        let raw = self.marks[HOPS] == Some(255);
        let unlabelled = self.marks[UNLABELLED] == Some(1);
        let length = self.marks[LENGTH];
        match self.kind {
            Kind::Syn => match self.marks[OPTIONS].map(|number| forms.of(number)) {
                Some(SynOptions::Kernel) => raw,
                Some(SynOptions::Bare | SynOptions::Odd) => true,
                None => {
                    raw || self.marks[WINDOW].is_some_and(|window| is_odd_window(window, unlabelled, self.marks[HOPS]))
                }
            },
            Kind::TcpOther => raw || self.marks[WINDOW].is_some(),
            Kind::Echo => raw || length.is_some_and(|length| !PING.contains(&length)),
            Kind::Udp => raw || self.marks[PAYLOAD].is_some(),
        }
    }
}

/// Payload lengths of ordinary pings in bytes: Windows 32, variants of busybox and fping 48 and 64, iputils and BSD
/// 56.
const PING: [u32; 4] = [32, 48, 56, 64];

/// Whether no usual kernel sends SYNs with this window. zmap uses 65535. macOS uses 65535 too, but starts with 64
/// hops and sets a flow label. masscan uses 1024; nmap uses 1024 and its multiples.
fn is_odd_window(window: u32, unlabelled: bool, hops: Option<u32>) -> bool {
    match window {
        65_535 => unlabelled || hops.is_none(),
        8_192 | 16_384 | 32_768 | 65_280 => false,
        // Linux sends a multiple of the segment size, which depends on the path's MTU.
        5_000.. => ![
            1_220, 1_340, 1_360, 1_380, 1_400, 1_410, 1_412, 1_420, 1_428, 1_432, 1_440, 1_448, 1_452, 1_460, 8_940,
            8_949, 8_961,
        ]
        .iter()
        .any(|&segment| window.is_multiple_of(segment)),
        _ => true,
    }
}

/// The makers of SYNs, by the ledger's numbers for TCP options.
pub(super) struct Forms(HashMap<u32, SynOptions>);

impl Forms {
    pub(super) fn new(ledger: &Ledger) -> Forms {
        let used: std::collections::HashSet<u32> =
            ledger.probes().iter().filter_map(|row| row.print.tcp_options).collect();
        let read = ledger.texts().filter(|(number, _)| used.contains(number));
        Forms(read.map(|(number, text)| (number, SynOptions::read(text))).collect())
    }

    fn of(&self, number: u32) -> SynOptions {
        self.0.get(&number).copied().unwrap_or(SynOptions::Odd)
    }
}

/// The value of a trait over several probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Never,
    Always(u32),
    Differs,
}

impl Seen {
    fn add(&mut self, value: Option<u32>) {
        let Some(value) = value else { return };
        *self = match *self {
            Seen::Never => Seen::Always(value),
            Seen::Always(known) if known == value => Seen::Always(known),
            _ => Seen::Differs,
        };
    }

    fn one(self) -> Option<u32> {
        match self {
            Seen::Always(value) => Some(value),
            Seen::Never | Seen::Differs => None,
        }
    }
}

/// A value that a tool keeps over all targets, and that does not repeat by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Constant {
    SourcePort(u32),
    IcmpId(u32),
    FlowLabel(u32),
}

/// The traits of one strand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prints {
    rows: u32,
    marks: [Seen; MARKS],
    /// Number of rows that are part of a path probe. This number is not a mark: the prober uses the same tool for its
    /// other probes.
    path_rows: u32,
    source_port: Seen,
    icmp_id: Seen,
    flow_label: Seen,
}

impl Prints {
    /// Adds the traits of a row. `counts_hops`: whether the probe varies its hop limit on purpose.
    pub(super) fn add(&mut self, row: &ProbeRow, counts_hops: bool) {
        let PackedTraits { hop_limit, tcp_flags, window, tcp_options, payload_len, payload_hash, flow_label, .. } =
            row.print;
        self.rows += 1;
        self.path_rows += u32::from(counts_hops);
        let hops = hop_limit.filter(|_| !counts_hops).map(initial_hop_limit);
        let payload = payload_hash.filter(|_| payload_len != Some(0));
        let flags = tcp_flags.filter(|_| row.kind == Kind::TcpOther).map(u32::from);
        let window = window.map(|window| match window {
            // nmap chooses one of these windows, or 1024, at random.
            2_048 | 3_072 | 4_096 => 1_024,
            other => u32::from(other),
        });
        let marks = [
            (WINDOW, window),
            (OPTIONS, tcp_options),
            (FLAGS, flags),
            (HOPS, hops),
            (LENGTH, payload_len.map(u32::from)),
            (PAYLOAD, payload),
            (UNLABELLED, flow_label.map(|label| u32::from(label == 0))),
        ];
        for (mark, value) in marks {
            self.marks[mark].add(value);
        }
        self.source_port.add(row.print.source_port.map(u32::from));
        self.icmp_id.add(row.print.icmp_id.map(u32::from));
        self.flow_label.add(flow_label);
    }

    /// Whether all rows count hops.
    pub(super) fn count_hops(&self) -> bool {
        self.rows > 0 && self.path_rows == self.rows
    }

    pub(super) fn fingerprint(&self, kind: Kind) -> Fingerprint {
        let mut marks = self.marks.map(Seen::one);
        marks[ONE_PORT] = match self.source_port {
            Seen::Differs => Some(0),
            Seen::Always(_) if self.rows >= CONSTANT => Some(1),
            _ => None,
        };
        Fingerprint { kind, marks }
    }

    /// The constants, and whether each constant was seen often enough to be sure. Values that many tools share do not
    /// count: ports of services, and ids 0 and 1 of simple pings.
    pub(super) fn constants(&self) -> impl Iterator<Item = (Constant, bool)> {
        let port = self.source_port.one().filter(|&port| port >= 1_024).map(Constant::SourcePort);
        let id = self.icmp_id.one().filter(|id| ![0, 1, 256, 512, 0xffff].contains(id)).map(Constant::IcmpId);
        let label = self.flow_label.one().filter(|&label| label > 1).map(Constant::FlowLabel);
        let is_sure = self.rows >= CONSTANT;
        [port, id, label].into_iter().flatten().map(move |constant| (constant, is_sure))
    }
}

/// The usual initial hop limit for a hop limit on arrival. No kernel of today starts with 32. nmap draws an initial
/// hop limit between 37 and 60 for each packet, and some of these packets arrive with less than 32.
fn initial_hop_limit(arrived: u8) -> u32 {
    match arrived {
        0..=64 => 64,
        65..=128 => 128,
        129.. => 255,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::tests::{ledger_of, probe, with};
    use crate::observation::Traits;

    fn is_distinctive(kind: Kind, traits: &Traits) -> bool {
        let ledger = ledger_of(&[with(probe(0, "2a0e::1", 1, kind, 22), traits)]);
        let mut prints = Prints::default();
        prints.add(&ledger.probes()[0], false);
        prints.fingerprint(kind).is_distinctive(&Forms::new(&ledger))
    }

    #[test]
    fn packets_of_scanners_are_distinctive_and_those_of_kernels_are_not() {
        let none = Traits::default();
        let syn = |window, hop_limit, flow_label, options: Option<&str>| {
            let tcp_options = options.map(str::to_owned);
            let traits = Traits {
                window: Some(window),
                hop_limit: Some(hop_limit),
                flow_label: Some(flow_label),
                tcp_options,
                ..Traits::default()
            };
            is_distinctive(Kind::Syn, &traits)
        };
        assert!(syn(65_535, 243, 0, None), "zmap");
        assert!(syn(65_535, 51, 0, Some("mss")), "zmap with another hop limit");
        assert!(syn(1_024, 240, 0, None), "masscan");
        assert!(syn(3_072, 50, 0, Some("mss")), "nmap");
        assert!(!syn(64_800, 52, 77_123, Some("mss,sackOK,ts,nop,ws")), "Linux");
        assert!(!syn(64_800, 52, 77_123, None) && !syn(64_240, 52, 77_123, None), "Linux, without options seen");
        assert!(!syn(65_535, 52, 77_123, None), "macOS");
        let echo =
            |len| is_distinctive(Kind::Echo, &Traits { payload_len: Some(len), hop_limit: Some(50), ..none.clone() });
        assert!(echo(8) && !echo(56) && !echo(32));
        for kind in Kind::ALL {
            assert!(!is_distinctive(*kind, &none), "unknown traits are not distinctive");
        }
    }

    #[test]
    fn a_trait_that_changes_or_is_unknown_agrees_with_any() {
        let of = |windows: &[Option<u16>]| {
            let rows = windows.iter().enumerate().map(|(i, &window)| {
                with(probe(i as i64, "2a0e::1", i as u64, Kind::Syn, 22), &Traits { window, ..Traits::default() })
            });
            let ledger = ledger_of(&rows.collect::<Vec<_>>());
            let mut prints = Prints::default();
            ledger.probes().iter().for_each(|row| prints.add(row, false));
            prints.fingerprint(Kind::Syn)
        };
        let (one, other) = (of(&[Some(1_024)]), of(&[Some(65_535)]));
        assert!(!one.agrees(&other));
        assert!(one.agrees(&of(&[None])) && one.agrees(&of(&[Some(7), Some(9)])));
        assert_eq!(one, of(&[Some(1_024), Some(3_072)]), "nmap's windows count as one");
        assert_eq!([1, 31, 59, 64].map(initial_hop_limit), [64; 4], "and so do its hop limits");
        assert_eq!([65, 128, 129, 255].map(initial_hop_limit), [128, 128, 255, 255]);
    }
}
