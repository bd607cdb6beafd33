//! Tests of the writer and its queue.

use super::super::tests::{connection, new_store, probe_at, quick, times, wait_until};
use super::*;

#[test]
fn observations_are_written_soon_and_the_rest_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(Store::open(dir.path()).unwrap(), quick()).unwrap();
    let counters = writer.counters();
    writer.send(vec![probe_at(1), probe_at(2)]);
    wait_until("two written", || counters.written() == 2 && counters.queued() == 0);
    assert!(counters.bytes() > 0);
    writer.send(vec![probe_at(3)]);
    assert_eq!(writer.finish(), WriterSummary { written: 3, lost: 0, failure: None });
    assert_eq!(times(&dir), [1, 2, 3]);
}

#[test]
fn dropping_the_writer_writes_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings { latency: Duration::from_secs(3600), ..quick() };
    let writer = Writer::start(Store::open(dir.path()).unwrap(), settings).unwrap();
    writer.send(vec![probe_at(1)]);
    let counters = writer.counters();
    drop(writer);
    assert_eq!((counters.written(), counters.queued()), (1, 0));
}

#[test]
fn a_database_that_refuses_costs_counted_observations() {
    let (_dir, store) = new_store();
    store.connection.pragma_update(None, "query_only", true).unwrap();
    let writer = Writer::start(store, StoreSettings { capacity: 5, ..quick() }).unwrap();
    let counters = writer.counters();
    for _ in 0..4 {
        writer.send(vec![probe_at(1), probe_at(2)]);
    }
    // The queue has room for two batches.
    wait_until("a failure", || counters.failure().is_some());
    assert_eq!((counters.written(), counters.lost(), counters.queued()), (0, 4, 4));
    let summary = writer.finish();
    assert_eq!((summary.written, summary.lost), (0, 8));
    let failure = summary.failure.unwrap();
    assert!(failure.starts_with("cannot write to /") && !failure.contains('\n'), "{failure}");
}

#[test]
fn the_writer_ends_although_the_disk_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings { patience: Duration::from_millis(100), ..quick() };
    let writer = Writer::start(Store::open(dir.path()).unwrap(), settings).unwrap();
    let handle = writer.handle().unwrap();
    let (begun, has_begun) = channel();
    let stalled = thread::spawn(move || {
        handle.with(move |_| {
            begun.send(()).unwrap();
            thread::sleep(Duration::from_secs(2));
        })
    });
    has_begun.recv().unwrap();
    writer.send(vec![probe_at(1), probe_at(2)]);
    let start = Instant::now();
    let summary = writer.finish();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!((summary.written, summary.lost), (0, 2));
    assert!(summary.failure.unwrap().starts_with("the disk did not take the last observations within "));
    stalled.join().unwrap().unwrap();
}

#[test]
fn rows_are_pruned_at_start_and_when_the_retention_gets_shorter() {
    let (dir, mut store) = new_store();
    let day = Span::from_days(1).0;
    let batch: Vec<_> = (0..20_000).map(|i| probe_at(i * day / 10_000)).collect();
    store.append(&batch).unwrap();
    let settings = StoreSettings { retention: Span::from_days(1), clock: || Time(0) + Span::from_days(2), ..quick() };
    let writer = Writer::start(store, settings).unwrap();
    let counters = writer.counters();
    wait_until("the pruning", || counters.pruned() == 10_000);
    writer.keep(StoreSettings { retention: Span(day / 2), ..settings });
    wait_until("more pruning", || counters.pruned() == 15_000);
    drop(writer);
    assert_eq!(times(&dir).len(), 5_000);
}

#[test]
fn a_jump_to_2038_and_back_deletes_nothing_and_months_off_still_do() {
    static WALL: AtomicI64 = AtomicI64::new(0);
    static RAN: AtomicI64 = AtomicI64::new(0);
    let (hour, day) = (Span::from_seconds(3_600).0, Span::from_days(1).0);
    let now = Time::from_seconds(1_790_000_000).0;
    WALL.store(now, Relaxed);
    let (dir, mut store) = new_store();
    store.append(&[probe_at(now - 20 * day), probe_at(now - day)]).unwrap();
    drop(store);
    let settings = StoreSettings { clock: || Time(WALL.load(Relaxed)), ran: || Span(RAN.load(Relaxed)), ..quick() };
    let mut lives = 0;
    // Runs a sensor that reads the clock every hour.
    let mut live = |wall: i64, hours: i64| {
        lives += 1;
        let mut store = Store::open(dir.path()).unwrap();
        store.begin_boot(&format!("boot {lives}"), Time(wall - RAN.load(Relaxed))).unwrap();
        WALL.store(wall, Relaxed);
        let writer = Writer::start(store, settings).unwrap();
        let counters = writer.counters();
        let mut believed = Vec::new();
        for _ in 0..hours {
            WALL.fetch_add(hour, Relaxed);
            RAN.fetch_add(hour, Relaxed);
            let looked = Arc::new(AtomicI64::new(0));
            writer.keep(settings);
            // This work runs after the pruning.
            let seen = Arc::clone(&looked);
            writer.then(move |_| seen.store(1, Relaxed));
            wait_until("the pruning", || looked.load(Relaxed) == 1);
            believed.push(counters.believed());
        }
        drop(writer);
        (times(&dir).len(), believed.last().copied().flatten().is_some())
    };
    assert_eq!(live(now, 2), (2, false));
    assert_eq!(live(now + 12 * 365 * day, 20), (2, true), "2038");
    assert_eq!(live(now + day, 2), (2, false), "and back");
    // The machine was off for two months and then runs one hour a day. The clock is finally believed.
    let after = (0..40).map(|n| live(now + (60 + n) * day, 1)).take_while(|&(rows, _)| rows > 0).count();
    assert!((20..=26).contains(&after), "{after} days");
}

#[test]
fn rows_that_wait_for_new_dates_are_not_pruned() {
    const NOW: Time = Time::from_seconds(1_790_000_000);
    let (_dir, mut store) = new_store();
    // The clock was right in an earlier boot. The current boot began in 1970, and the clock was just set.
    store.believe(Belief { believed: Some(NOW), stood: Span(0) }).unwrap();
    store.begin_boot("boot", Time(0)).unwrap();
    store.append(&[probe_at(5_000_000)]).unwrap();
    let settings = StoreSettings { clock: || NOW + Span::from_seconds(60), ran: || Span::from_seconds(60), ..quick() };
    let writer = Writer::start(store, settings).unwrap();
    let counters = writer.counters();
    let (sender, receiver) = channel();
    writer.then(move |_| sender.send(()).unwrap());
    receiver.recv().unwrap();
    writer.redate(Span(NOW.0));
    drop(writer);
    assert_eq!(counters.pruned(), 0);
}

#[test]
fn a_failed_step_is_repeated_once_and_before_later_observations() {
    let (dir, mut store) = new_store();
    store.begin_boot("boot", Time(0)).unwrap();
    store.append(&[probe_at(1)]).unwrap();
    let other = connection(dir.path());
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writer = Writer::start(store, StoreSettings { latency: Duration::from_secs(1), ..quick() }).unwrap();
    let counters = writer.counters();
    writer.send(vec![probe_at(2)]);
    let (sender, receiver) = channel();
    writer.redate(Span(1_000));
    writer.then(move |store| sender.send(store.map(drop)).unwrap());
    assert!(receiver.recv().unwrap().unwrap_err().contains("cannot write to"));
    writer.send(vec![probe_at(1_003)]);
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("the write", || counters.written() == 2);
    assert_eq!(writer.finish(), WriterSummary { written: 2, lost: 0, failure: None });
    assert_eq!(times(&dir), [1_001, 1_002, 1_003]);
    assert_eq!(Store::open(dir.path()).unwrap().begin_boot("boot", Time(7)).unwrap().origin, Time(1_000));
}
