use sensor_common::parse::Address;

use super::*;

const OURS: u8 = 0x20;
const THEIRS: u8 = 0x2a;

fn address(first: u8) -> Address {
    let mut address = [0; 16];
    (address[0], address[15]) = (first, 1);
    address
}

/// A TCP half from `src` to `dst`, with the given first and last second.
fn half((src, src_port): (u8, u16), (dst, dst_port): (u8, u16), flags: u8, seconds: (i64, i64)) -> FlowHalf {
    FlowHalf {
        first: Time::from_seconds(seconds.0),
        last: Time::from_seconds(seconds.1),
        tuple: Tuple { src: address(src), dst: address(dst), src_port, dst_port },
        proto: Proto::Tcp,
        flags: Some(flags),
        is_reply: false,
    }
}

fn exchanges(halves: &[FlowHalf]) -> Vec<FlowRecord> {
    let mut found = Vec::new();
    let mut waiting = FlowHalves::default();
    for half in halves {
        waiting.push(*half, LineOrigin::default(), &mut |record, _| found.push(record));
    }
    waiting.flush(&mut |record, _| found.push(record));
    found
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const RST_ACK: u8 = 0x14;
const ALL: u8 = 0x1b;

#[test]
fn the_initiator_is_first_or_else_has_the_higher_port() {
    let there = half((OURS, 40_000), (THEIRS, 443), ALL, (10, 20));
    let back = half((THEIRS, 443), (OURS, 40_000), ALL, (10, 20));
    for halves in [[there, back], [back, there]] {
        let [record] = exchanges(&halves)[..] else { panic!() };
        assert_eq!((record.tuple, record.begins, record.answered), (there.tuple, Signal::Syn, true));
    }
    let earlier = FlowHalf { first: Time::from_seconds(9), ..back };
    let [record] = exchanges(&[there, earlier])[..] else { panic!() };
    assert_eq!(record.tuple, back.tuple, "it was first");
}

#[test]
fn a_reset_is_no_answer_and_begins_nothing() {
    let there = half((THEIRS, 40_000), (OURS, 22), SYN, (10, 10));
    let back = half((OURS, 22), (THEIRS, 40_000), RST_ACK, (9, 10));
    let [record] = exchanges(&[back, there])[..] else { panic!() };
    assert_eq!((record.tuple, record.answered), (there.tuple, false));
    assert_eq!(exchanges(&[back]), []);
}

#[test]
fn a_single_half_counts_if_it_has_the_beginning() {
    assert_eq!(exchanges(&[half((THEIRS, 40_000), (OURS, 22), SYN, (1, 2))]).len(), 1);
    assert_eq!(exchanges(&[half((OURS, 40_000), (THEIRS, 443), ALL, (1, 2))]).len(), 1);
    // An answer without a request, the middle of a connection, and a half without flags.
    for (from, to, flags) in
        [((OURS, 22), (THEIRS, 40_000), SYN_ACK), ((OURS, 40_000), (THEIRS, 443), 0x10), ((OURS, 1), (THEIRS, 2), 0)]
    {
        assert_eq!(exchanges(&[half(from, to, flags, (1, 2))]), [], "{flags:#x}");
    }
}

#[test]
fn halves_of_one_side_are_one_exchange_if_near() {
    let first = half((THEIRS, 40_000), (OURS, 22), SYN, (0, 1));
    let near = half((THEIRS, 40_000), (OURS, 22), SYN, (200, 201));
    let far = half((THEIRS, 40_000), (OURS, 22), SYN, (2_000, 2_001));
    let [record] = exchanges(&[first, near])[..] else { panic!() };
    assert_eq!((record.first, record.last), (first.first, near.last));
    assert_eq!(exchanges(&[first, far]).len(), 2);
}

#[test]
fn records_come_in_the_order_of_their_beginnings() {
    let mut order = FlowOrder::default();
    let [record] = exchanges(&[half((THEIRS, 40_000), (OURS, 22), SYN, (0, 1))])[..] else { panic!() };
    for minute in [30, 10, 20, 200] {
        let first = Time::from_seconds(minute * 60);
        order.push(FlowRecord { first, last: first, ..record }, LineOrigin::default());
    }
    let mut due = Vec::new();
    while let Some((record, _)) = order.pop() {
        due.push(record.first.0 / 60_000_000);
    }
    assert_eq!(due, [10, 20, 30]);
    assert!(order.pop_any().is_some() && order.pop_any().is_none());
}

#[test]
fn the_first_line_that_waits_is_known() {
    let from = |line| LineOrigin { at: (0, line), is_old: line < 3 };
    let there = half((THEIRS, 40_000), (OURS, 22), SYN, (0, 1));
    let back = half((OURS, 22), (THEIRS, 40_000), RST_ACK, (0, 1));
    let other = half((THEIRS, 50_000), (OURS, 22), SYN, (0, 1));
    let (mut halves, mut order) = (FlowHalves::default(), FlowOrder::default());
    for (half, line) in [(there, 2), (other, 3), (back, 4)] {
        halves.push(half, from(line), &mut |record, origin| order.push(record, origin));
    }
    // A pair has the age of its older half.
    assert_eq!((halves.earliest(), order.earliest()), (Some((0, 3)), Some((0, 2))));
    assert!(order.pop_any().is_some_and(|(_, origin)| origin == from(2)));
    assert_eq!(order.earliest(), None);
}
