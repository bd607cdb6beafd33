//! Restarts of the sensor on this kernel: with links, or before 6.6 with filters that are replaced in place.

use std::thread::sleep;
use std::time::Duration;

use tests::namespace::watched;
use tests::numbered::{Numbered, complaints};
use tests::sensor::{Pins, Sensor, exists};
use tests::world::World;

use crate::wire;

/// The number of kills.
const KILLS: u32 = 3;
/// Probes a second, and as many contacts.
const RATE: u32 = 200;

/// Kills the sensor under traffic and starts it again a moment later. In the end, each probe and each contact is in the
/// store once.
pub fn killed_and_adopted() -> String {
    let (world, state) = (World::new(), wire::state());
    let keep = ["--interface", "wan0", "--keep"];
    let both = watched("xdp");
    let mut sensor = Sensor::start(&world.router, &state, &keep);
    let traffic = Numbered::start(&world, RATE);
    let mut without = 0;
    for _ in 0..KILLS {
        sleep(Duration::from_millis(700));
        sensor.end(libc::SIGKILL);
        let (before, attached) = (traffic.sent(), wire::attached(&world.router, "wan0"));
        assert_eq!(attached, both, "the programs stay");
        sleep(Duration::from_millis(500));
        without += traffic.sent() - before;
        sensor = Sensor::start(&world.router, &state, &keep);
        assert!(sensor.log().contains("adopted programs and maps that an earlier run left"), "{}", sensor.log());
        assert_eq!(wire::attached(&world.router, "wan0"), both, "once");
    }
    assert!(without > 0, "nothing was sent while no sensor ran");
    let last = traffic.stop();
    sensor.stop();
    // The last run removes everything.
    Sensor::start(&world.router, &state, &["--interface", "wan0"]).stop();
    assert_eq!(wire::attached(&world.router, "wan0"), Default::default(), "something is left attached");
    assert!(!exists(Pins::of(&state).path()), "something is left pinned");
    let complaints = complaints(&state, last);
    assert!(complaints.is_empty(), "{} complaints: {:?}", complaints.len(), &complaints[..complaints.len().min(5)]);
    format!("{last} probes and as many contacts, {KILLS} kills, {without} of each while none ran: each is there once")
}
