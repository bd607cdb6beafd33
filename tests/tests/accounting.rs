//! Each matched event is counted as recorded, held back or lost, and recorded events are in the store. Runs as root.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tests::numbered::{Numbered, stored};
use tests::sensor::Sensor;
use tests::within;
use tests::world::World;

/// Fills a ring of 1 MiB, which holds 13,107 events of 80 bytes, in less than a second.
const PER_SECOND: u32 = 20_000;

#[test]
fn a_flood_past_a_stopped_reader_is_stored_or_counted_as_lost() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let config = state.path().join("small.toml");
    fs::write(&config, "[kernel]\nring_mib = 1\n").unwrap();
    let sensor =
        Sensor::start(&world.router, state.path(), &["--interface", "wan0", "--config", config.to_str().unwrap()]);
    let traffic = Numbered::start(&world, PER_SECOND);
    let until = |number: u16| within(30, "numbers", || (traffic.sent() >= number).then_some(()));
    until(2_000);
    sensor.signal(libc::SIGSTOP);
    until(30_000);
    sensor.signal(libc::SIGCONT);
    until(35_000);
    within(5, "the loss is logged", || sensor.log().contains("events are lost: the ring was full").then_some(()));
    let last = u64::from(traffic.stop());
    // The sensor's counters are at most a second old.
    sleep(Duration::from_millis(1_200));

    let [probes_matched, probes_recorded, _, probes_lost] = sensor.fates("probe");
    let [contacts_matched, contacts_recorded, _, contacts_lost] = sensor.fates("contact");
    // Of the two pings before the numbers, one leaves the home.
    assert_eq!((probes_matched, contacts_matched), (last, last + 1));
    assert!(probes_lost > 5_000 && contacts_lost > 5_000, "the ring was never full: {probes_lost}, {contacts_lost}");
    let recorded = probes_recorded + contacts_recorded + sensor.fates("answer")[1];
    within(10, "all recorded events are drained", || {
        (sensor.metric("tattler_ring_events_total") == recorded).then_some(())
    });
    assert_eq!(sensor.metric("tattler_store_observations_total{result=\"lost\"}"), 0);
    sensor.stop();

    let (in_probes, in_contacts) = stored(state.path());
    for (what, numbers, recorded) in
        [("probe", in_probes, probes_recorded), ("contact", in_contacts, contacts_recorded - 1)]
    {
        assert!(numbers.iter().all(|&count| count <= 1), "a {what} is there twice");
        assert_eq!(numbers.iter().map(|&count| u64::from(count)).sum::<u64>(), recorded, "{what}s");
    }
    println!(
        "{last} numbers: probes {probes_recorded} recorded, {probes_lost} lost; contacts {contacts_recorded} recorded, \
         {contacts_lost} lost"
    );
}
