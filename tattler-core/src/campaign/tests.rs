use std::net::Ipv6Addr;
use std::time::Instant;

use proptest::prelude::*;
use sensor_common::{Kind, Proto};

use super::*;
use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::{Contact, Observation, Probe, Traits};

/// A local with a random identifier.
pub(crate) fn local(n: u64) -> Ipv6Addr {
    Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(0xe014_9aff_5e49_0101 + (n << 20)))
}

pub(crate) fn probe(ts: i64, source: &str, target: u64, kind: Kind, port: u16) -> Probe {
    let port = if kind == Kind::Echo { 0 } else { port };
    Probe::new(Time::from_seconds(ts), source.parse().unwrap(), local(target), kind, port)
}

pub(crate) fn with(probe: Probe, traits: &Traits) -> Probe {
    Probe { traits: traits.clone(), ..probe }
}

pub(crate) fn echo(ts: i64, source: &str, target: u64, hop_limit: u8) -> Probe {
    with(probe(ts, source, target, Kind::Echo, 0), &Traits { hop_limit: Some(hop_limit), ..Traits::default() })
}

pub(crate) fn ledger_of(probes: &[Probe]) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    probes.iter().for_each(|probe| ledger.observe(&Observation::Probe(probe.clone())));
    ledger
}

fn campaigns_of(probes: &[Probe]) -> Campaigns {
    Campaigns::new(&Frame::new(&ledger_of(probes)))
}

fn labels(campaigns: &Campaigns) -> Vec<&str> {
    campaigns.list.iter().map(|campaign| campaign.label.as_str()).collect()
}

fn zmap() -> Traits {
    Traits {
        window: Some(65_535),
        hop_limit: Some(240),
        flow_label: Some(0),
        payload_len: Some(0),
        ..Traits::default()
    }
}

fn linux(port: u16) -> Traits {
    Traits {
        window: Some(64_800),
        hop_limit: Some(52),
        flow_label: Some(7_000 + u32::from(port)),
        payload_len: Some(0),
        source_port: Some(port),
        tcp_options: Some("mss,sackOK,ts,nop,ws".to_owned()),
        ..Traits::default()
    }
}

const DAY: i64 = 86_400;

#[test]
fn a_scanner_spread_over_700_prefixes_is_one_campaign() {
    let probes: Vec<Probe> = (0..2_100i64)
        .map(|n| {
            let source = format!("2a{:02x}:{:x}:1:1::{:x}", 16 + n % 7, 0x100 + n % 700, 1 + n % 3);
            with(probe(n * 60, &source, n as u64 % 97, Kind::Syn, [22, 443, 8080][n as usize % 3]), &zmap())
        })
        .collect();
    let campaigns = campaigns_of(&probes);
    assert_eq!(campaigns.list.len(), 1, "{:?}", &labels(&campaigns)[..10]);
    assert_eq!(campaigns.list[0].prefixes.len(), 700);
    assert!(campaigns.list[0].labels.contains(&Label::SlowAndSpreadOut));
    // With one probe from each prefix, no prefix shows more than one port.
    let single: Vec<Probe> = probes[..700].to_vec();
    assert_eq!(campaigns_of(&single).list.len(), 1);
}

#[test]
fn rounds_of_a_spread_scanner_with_pauses_of_days_are_one() {
    let probes: Vec<Probe> = (0..4i64)
        .flat_map(|round| (0..12).map(move |n| (round * 5 * DAY + n * 600, format!("2a10:{:x}::1", round * 12 + n))))
        .map(|(ts, source)| with(probe(ts, &source, ts as u64 % 5, Kind::Syn, 22), &zmap()))
        .collect();
    let campaigns = campaigns_of(&probes);
    assert_eq!(campaigns.list.len(), 1, "{:?}", labels(&campaigns));
    let labels = &campaigns.list[0].labels;
    assert!(
        labels.contains(&Label::SlowAndSpreadOut) && labels.contains(&Label::Rhythm(Rhythm::Returning)),
        "{labels:?}"
    );
}

/// A traceroute by ping to several locals, with this payload length.
fn traceroute(ts: i64, source: &str, payload_len: u16) -> Vec<Probe> {
    let hop = |n: i64| Traits { hop_limit: Some(3 + n as u8), payload_len: Some(payload_len), ..Traits::default() };
    (0..6).map(|n| with(probe(ts + n, source, n as u64, Kind::Echo, 0), &hop(n))).collect()
}

#[test]
fn path_probes_from_three_48s_of_a_32_are_one() {
    let from = |all: &[(i64, &str)]| {
        let probes: Vec<Probe> = all.iter().flat_map(|&(ts, source)| traceroute(ts, source, 56)).collect();
        let campaigns = campaigns_of(&probes);
        assert!(campaigns.list.iter().all(|campaign| campaign.is_path_probe), "{:?}", labels(&campaigns));
        campaigns.list.len()
    };
    assert_eq!(from(&[(0, "2a0e:7:1::7"), (30, "2a0e:7:2::7"), (900, "2a0e:7:3::7")]), 1);
    assert_eq!(from(&[(0, "2a0e:7:1::7"), (30, "2a0e:8:2::7")]), 2, "two networks");
    assert_eq!(from(&[(0, "2a0e:7:1::7"), (9 * DAY, "2a0e:7:2::7")]), 2, "at other times");
}

#[test]
fn path_probes_with_another_tool_and_plain_pings_stay_apart() {
    let mut probes = traceroute(0, "2a0e:7:1::7", 56);
    probes.extend(traceroute(60, "2a0e:7:2::7", 8));
    assert_eq!(campaigns_of(&probes).list.len(), 2, "another tool");
    let plain = Traits { hop_limit: Some(50), payload_len: Some(56), ..Traits::default() };
    probes.truncate(6);
    probes.extend((0..6).map(|n| with(probe(70 + n, "2a0e:7:3::7", n as u64, Kind::Echo, 0), &plain)));
    let campaigns = campaigns_of(&probes);
    assert_eq!(campaigns.list.iter().map(|c| c.is_path_probe).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn two_tenants_of_a_64_are_two() {
    let other = Traits {
        window: Some(1_024),
        hop_limit: Some(233),
        flow_label: Some(0),
        payload_len: Some(0),
        ..Traits::default()
    };
    let mut probes: Vec<Probe> = Vec::new();
    for n in 0..20 {
        probes.push(with(probe(n, &format!("2a0e::{:x}", 1 + n % 3), n as u64, Kind::Syn, 443), &zmap()));
        probes.push(with(probe(n, &format!("2a0e::{:x}", 101 + n % 3), n as u64, Kind::Syn, 443), &other));
    }
    assert_eq!(campaigns_of(&probes).list.iter().map(|c| c.sources.len()).collect::<Vec<_>>(), [3, 3]);
    let pings = |len| Traits { payload_len: Some(len), ..Traits::default() };
    let echoes: Vec<Probe> = (0..20)
        .map(|n| {
            with(probe(n, &format!("2a0e::{:x}", 1 + n % 4), n as u64, Kind::Echo, 0), &pings(8 + 48 * (n % 2) as u16))
        })
        .collect();
    assert_eq!(campaigns_of(&echoes).list.len(), 2);
}

#[test]
fn two_users_of_one_tool_in_different_networks_are_two() {
    let of = |traits: &dyn Fn(i64, u16) -> Traits| -> Vec<Probe> {
        let each = |n: i64| ["2a0e:1::1", "2a11:5::1"].map(|source| (n * 60, source));
        (0..100)
            .flat_map(each)
            .map(|(ts, source)| {
                with(probe(ts, source, ts as u64 / 60, Kind::Syn, 22), &traits(ts, source.len() as u16))
            })
            .collect()
    };
    let varying = |ts: i64, _| Traits { source_port: Some(32_768 + (ts * 7_919 % 28_000) as u16), ..zmap() };
    assert_eq!(campaigns_of(&of(&varying)).list.len(), 2);
    // The same source port for all probes is not a coincidence.
    let constant = |_, _| Traits { source_port: Some(41_234), ..zmap() };
    assert_eq!(campaigns_of(&of(&constant)).list.len(), 1);
    let echoes = |id: &dyn Fn(i64) -> u16| -> usize {
        let ping = |ts| Traits { icmp_id: Some(id(ts)), payload_len: Some(56), ..Traits::default() };
        let each =
            |n: i64| ["2a0e:1::1", "2a11:5::1"].map(|source| with(probe(n, source, n as u64, Kind::Echo, 0), &ping(n)));
        campaigns_of(&(0..10).flat_map(each).collect::<Vec<_>>()).list.len()
    };
    assert_eq!((echoes(&|_| 4_242), echoes(&|ts| 5_000 + ts as u16), echoes(&|_| 1)), (1, 2, 2), "a fixed id joins");
    // Two machines that both run Linux are no evidence of one scanner, even if they send few probes.
    let kernels: Vec<Probe> = (0..60i64)
        .map(|n| {
            with(probe(n * 600, &format!("2a10:{n:x}::1"), n as u64 % 4, Kind::Syn, 22), &linux(40_000 + n as u16))
        })
        .collect();
    let campaigns = campaigns_of(&kernels);
    assert_eq!(campaigns.list.len(), 60);
    assert!(campaigns.list[0].labels.contains(&Label::SlowAndSpreadOut), "{:?}", campaigns.list[0].labels);
}

#[test]
fn two_tools_of_one_source_are_one() {
    let ping = Traits { payload_len: Some(56), hop_limit: Some(52), ..Traits::default() };
    let campaigns = campaigns_of(&[
        with(probe(0, "2a0e::1", 1, Kind::Echo, 0), &ping),
        with(probe(1, "2a0e::1", 1, Kind::Syn, 22), &zmap()),
        with(probe(2, "2a0e::2", 2, Kind::Syn, 22), &zmap()),
    ]);
    assert_eq!(labels(&campaigns), ["echo, syn 22 from 2a0e::/64"]);
}

#[test]
fn hop_limits_that_ascend_over_targets_are_a_path_probe() {
    let probes: Vec<Probe> = (0..40).map(|n| echo(n, "2a0e::1", n as u64, (3 + n / 2) as u8)).collect();
    let campaigns = campaigns_of(&probes);
    assert_eq!(labels(&campaigns), ["path probe, sweep: echo from 2a0e::/64"]);
    assert!(campaigns.list[0].is_path_probe && campaigns.is_path.iter().all(|&is| is));
}

#[test]
fn probes_without_traits_are_joined_by_prefix_and_port() {
    let campaigns = campaigns_of(&[
        probe(0, "2a0e::1", 1, Kind::Syn, 22),
        probe(1, "2a0e::2", 1, Kind::Syn, 22),
        probe(2, "2a0e::3", 1, Kind::Syn, 80),
        probe(3, "2a0f::1", 1, Kind::Syn, 22),
    ]);
    let sources: Vec<usize> = campaigns.list.iter().map(|campaign| campaign.sources.len()).collect();
    assert_eq!(sources, [2, 1, 1]);
}

#[test]
fn prefixes_of_a_known_operator_are_one_campaign_with_its_name() {
    let campaigns = campaigns_of(&[
        probe(0, "2602:80d:1000::1", 1, Kind::Syn, 443),
        probe(1, "2620:96:e000:1::1", 2, Kind::Syn, 80),
        probe(2, "2604:a880:800:10::1:1", 2, Kind::Syn, 22),
        probe(3, "2604:a880:800:11::1:1", 2, Kind::Syn, 22),
    ]);
    let expected = [
        "Censys: syn 80 443 from 2 prefixes",
        "Shodan in 2016: syn 22 from 2604:a880:800:10::1:0/124",
        "syn 22 from 2604:a880:800:11::1:0/124",
    ];
    assert_eq!(labels(&campaigns), expected);
}

/// A home with exact hits: each target contacts a site before the target's probe.
fn home(probes: &[Probe]) -> Ledger {
    let mut ledger = ledger_of(probes);
    for probe in probes {
        let site = "2a06::80".parse().unwrap();
        ledger.observe(&Observation::Contact(Contact::new(Time(probe.ts.0 - 1), probe.target, site, Proto::Tcp, 443)));
    }
    ledger
}

#[test]
fn groupings_with_the_most_hits_come_first() {
    let mut probes: Vec<Probe> = Vec::new();
    for n in 0..30u64 {
        let source = format!("2a0e:1:1:{:x}::1", n % 3);
        probes.push(with(probe(n as i64, &source, n, Kind::Syn, 22), &linux(n as u16 + 1_024)));
    }
    probes.push(probe(50, "2a11::1", 1, Kind::Echo, 0));
    let ledger = home(&probes);
    let campaigns = Campaigns::new(&Frame::new(&ledger));
    assert_eq!(campaigns.list.len(), 4);
    let sizes: Vec<(usize, usize)> =
        campaigns.groupings.iter().map(|grouping| (grouping.rows.len(), grouping.campaigns.len())).collect();
    // The /48, which has the same hits as the /32 and the tool; three /64s, which are campaigns; and one more
    // campaign.
    assert_eq!(sizes, [(30, 3), (10, 1), (10, 1), (10, 1), (1, 1)]);
    assert_eq!(campaigns.groupings[0].campaigns, [0, 1, 2]);
}

#[test]
fn there_are_never_more_than_128_groupings() {
    let probes: Vec<Probe> =
        (0..900u64).map(|n| probe(n as i64, &format!("2a0e:{:x}:{:x}::1", n % 300, n % 2), n, Kind::Syn, 22)).collect();
    let campaigns = Campaigns::new(&Frame::new(&home(&probes)));
    assert_eq!(campaigns.groupings.len(), 128);
    // The peers of a torrent, which try one address each, do not displace other groupings.
    let mut peers: Vec<Probe> =
        (0..400u64).map(|n| probe(n as i64, &format!("2a0e:{n:x}::1"), n, Kind::Syn, 51_413)).collect();
    peers.extend((0..3u64).map(|n| probe(1_000, &format!("2a0f:0:{n:x}::1"), 500 + n, Kind::Syn, 22)));
    let ledger = home(&peers);
    let shared = Campaigns::new(&Frame::new(&ledger));
    assert!(shared.groupings.iter().any(|grouping| grouping.rows.len() == 3 && grouping.campaigns.len() == 3));
    assert!(campaigns.groupings.windows(2).all(|pair| pair[0].rows.len() >= pair[1].rows.len()));
}

/// A ledger of sources that send one probe each. Each source has another prefix and other traits.
fn flood(n: u64) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    for i in 0..n {
        let source = Ipv6Addr::from((0x2a00_u128 << 112) | (u128::from(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 40));
        let ts = Time::from_seconds(i as i64);
        let traits = Traits { window: Some((i % 9_000) as u16), source_port: Some((i * 31) as u16), ..zmap() };
        let probe = Probe { traits, ..Probe::new(ts, source, local(i % 50), Kind::Syn, (i % 5_000) as u16) };
        ledger.observe(&Observation::Probe(probe));
    }
    ledger
}

#[test]
fn a_flood_of_sources_is_bounded_and_costs_the_same_for_each() {
    let [small, large] = [20_000, 100_000].map(|n| {
        let ledger = flood(n);
        let start = Instant::now();
        let campaigns = Campaigns::new(&Frame::new(&ledger));
        let took = start.elapsed();
        assert!(campaigns.list.len() <= MAX_CAMPAIGNS);
        assert_eq!(campaigns.list.iter().map(|campaign| campaign.rows.len() as u64).sum::<u64>(), n);
        assert!(campaigns.lumped > 0 || n < 100_000);
        took
    });
    // Five times as many sources should take five times as long; the rest of the factor is for a busy machine.
    assert!(large < small * 20, "20,000 rows take {small:?}, 100,000 {large:?}");
}

/// The rows of each campaign, independent of the numbers of campaigns and addresses.
fn partition(probes: &[Probe]) -> Vec<Vec<(Ipv6Addr, Time, u16)>> {
    let ledger = ledger_of(probes);
    let campaigns = Campaigns::new(&Frame::new(&ledger));
    let row = |&i: &u32| {
        let row = &ledger.probes()[i as usize];
        (ledger.address(row.source), row.first, row.port)
    };
    let mut partition: Vec<Vec<_>> =
        campaigns.list.iter().map(|campaign| distinct(campaign.rows.iter().map(row).collect())).collect();
    partition.sort();
    partition
}

prop_compose! {
    fn any_probe()(
        ts in 0..50i64, net in 0..14u32, host in 0..3u32, target in 0..12u64, kind in 0..4usize, port in 0..4u16,
        tool in 0..5u8, value in 0..3u16,
    ) -> Probe {
        let traits = match tool {
            0 => Traits::default(),
            1 => zmap(),
            2 => linux(value),
            3 => Traits { source_port: Some(40_000 + value), ..zmap() },
            _ => Traits { payload_len: Some(value), tcp_options: Some(format!("odd{value}")), ..Traits::default() },
        };
        with(probe(ts * 3_000, &format!("2a10:{:x}:{:x}::{host:x}", net / 4, net % 4), target, Kind::ALL[kind], port), &traits)
    }
}

proptest! {
    #[test]
    fn other_targets_change_no_campaign(probes in prop::collection::vec(any_probe(), 0..120)) {
        let renamed: Vec<Probe> = probes
            .iter()
            .map(|probe| {
                let bits = u128::from(probe.target);
                Probe { target: Ipv6Addr::from(bits ^ 0x5a5a_1234_0000_0f0f_8888u128), ..probe.clone() }
            })
            .collect();
        prop_assert_eq!(partition(&probes), partition(&renamed));
    }

    #[test]
    fn the_order_of_arrival_changes_no_campaign(probes in prop::collection::vec(any_probe(), 0..80)) {
        // If two rows have the same time, the order of arrival decides which print is kept: make the times distinct.
        let mut probes = probes;
        probes.iter_mut().enumerate().for_each(|(i, probe)| probe.ts = Time(probe.ts.0 + i as i64));
        let reversed: Vec<Probe> = probes.iter().rev().cloned().collect();
        prop_assert_eq!(partition(&probes), partition(&reversed));
    }
}
