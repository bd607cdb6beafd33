use tattler_core::home::Route;

use super::*;
use crate::datapath::Mode;

fn device(name: &str, index: u32) -> NetworkDevice {
    NetworkDevice { name: name.into(), index, kind: 1 }
}

fn attached(device: &NetworkDevice) -> Result<Attachment, String> {
    Ok(Attachment { device: device.clone(), mode: Mode::Native, not_native: None, adopted: false })
}

fn network(devices: &[(&str, u32)]) -> NetworkState {
    NetworkState {
        devices: devices.iter().map(|&(name, index)| device(name, index)).collect(),
        up: devices.iter().map(|&(_, index)| index).collect(),
        ..NetworkState::default()
    }
}

fn led_out_by(mut network: NetworkState, indices: &[u32]) -> NetworkState {
    let route = |&device| Route { prefix: "::/0".parse().unwrap(), device, refuses: false };
    network.routes = indices.iter().map(route).collect();
    network
}

/// Uplinks that are watched.
fn uplinks(devices: &[(&str, u32)], by_route: bool) -> Uplinks {
    let names: Vec<String> = devices.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut uplinks = Uplinks::new(if by_route { &[] } else { &names }).unwrap();
    let indices: Vec<u32> = devices.iter().map(|device| device.1).collect();
    uplinks.follow(&led_out_by(network(devices), &indices), Instant::now());
    assert_eq!(attach(&mut uplinks, Instant::now()).len(), devices.len());
    uplinks
}

/// The devices that are attached to at this moment.
fn attach(uplinks: &mut Uplinks, now: Instant) -> Vec<(String, u32)> {
    let mut devices = Vec::new();
    uplinks.attach(now, |device| {
        devices.push((device.name.clone(), device.index));
        attached(device)
    });
    devices
}

fn count(uplinks: &Uplinks, change: UplinkChange) -> u64 {
    uplinks.changes[change as usize]
}

#[test]
fn changes_are_counted_in_the_order_of_all() {
    assert!(UplinkChange::ALL.iter().enumerate().all(|(at, change)| *change as usize == at));
}

#[test]
fn an_uplink_that_is_not_there_at_the_start_is_waited_for() {
    let now = Instant::now();
    let mut named = Uplinks::new(&["ppp0".to_owned()]).unwrap();
    named.follow(&network(&[("lan0", 1)]), now);
    assert!(!named.is_due(now) && !named.are_watched() && named.devices().is_empty() && !named.has(0));
    assert_eq!(named.view().faults, ["there is no interface ppp0 yet: waiting for it"]);
    named.follow(&network(&[("lan0", 1), ("ppp0", 5)]), now);
    assert_eq!(attach(&mut named, now), [("ppp0".to_owned(), 5)]);
    assert!(named.are_watched() && named.view().faults.is_empty());

    let mut by_route = Uplinks::new(&[]).unwrap();
    by_route.follow(&network(&[("lan0", 1)]), now);
    assert!(!by_route.are_watched(), "nothing is watched");
    assert!(by_route.view().faults[0].contains("no IPv6 default route yet"));
    by_route.follow(&led_out_by(network(&[("lan0", 1), ("ppp0", 5)]), &[5]), now);
    assert_eq!(attach(&mut by_route, now), [("ppp0".to_owned(), 5)]);
    assert!(by_route.are_watched() && by_route.view().faults.is_empty());
}

#[test]
fn names_that_no_interface_can_have_are_refused() {
    let refused = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Uplinks::new(&names).map(drop).map_err(|error| error.to_string())
    };
    for name in ["", "no/such", "two words", "line\nbreak", "a:1", "..", "sixteen-letters!"] {
        assert!(refused(&["wan0", name]).unwrap_err().contains("no interface can have that name"), "{name}");
    }
    for name in ["wan9", "-", "ümlaut", "fifteen-letters"] {
        assert_eq!(refused(&["wan0", name]), Ok(()));
    }
    assert_eq!(refused(&["a", "a"]).unwrap_err(), "--interface names a twice; name each interface once");
}

#[test]
fn a_named_uplink_is_waited_for_by_its_name() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2)], false);
    assert_eq!(uplinks.follow(&network(&[("lan0", 1)]), now), [2]);
    assert_eq!(uplinks.view().faults, ["wan0 is gone: nothing is seen there until it is back"]);
    assert_eq!(uplinks.follow(&network(&[("lan0", 1), ("wan1", 3)]), now), [0; 0]);
    assert!(!uplinks.is_due(now));
    assert_eq!(uplinks.follow(&network(&[("lan0", 1), ("wan0", 7)]), now), [0; 0]);
    assert!(uplinks.has(7) && uplinks.is_due(now));
    assert_eq!(attach(&mut uplinks, now), [("wan0".to_owned(), 7)]);
    assert!(uplinks.view().faults.is_empty());
    assert_eq!(uplinks.view().up, [7]);
    assert_eq!((count(&uplinks, UplinkChange::Lost), count(&uplinks, UplinkChange::Attached)), (1, 1));
}

#[test]
fn a_device_that_comes_back_under_the_same_index_is_attached_to_again() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2)], false);
    // Told by the kernel's message alone: the network looks as before.
    assert!(uplinks.gone(2, now));
    assert!(!uplinks.gone(2, now), "once");
    assert_eq!(uplinks.follow(&network(&[("wan0", 2)]), now), [0; 0]);
    assert_eq!(attach(&mut uplinks, now), [("wan0".to_owned(), 2)]);
    assert_eq!(count(&uplinks, UplinkChange::Lost), 1);
}

#[test]
fn a_renamed_uplink_stays_and_one_that_takes_its_name_takes_its_place() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2), ("wan1", 3)], false);
    // Two that swap their names are the same two.
    assert_eq!(uplinks.follow(&network(&[("wan1", 2), ("wan0", 3)]), now), [0; 0]);
    assert_eq!(uplinks.view().attached.iter().map(|a| a.device.name.as_str()).collect::<Vec<_>>(), ["wan1", "wan0"]);
    assert_eq!((count(&uplinks, UplinkChange::Renamed), count(&uplinks, UplinkChange::Attached)), (2, 0));
    assert!(!uplinks.is_due(now));
    assert_eq!(uplinks.follow(&network(&[("old0", 2), ("wan0", 4), ("wan1", 3)]), now), [2]);
    assert_eq!(attach(&mut uplinks, now), [("wan0".to_owned(), 4)]);
    assert!(!uplinks.has(2));
}

#[test]
fn an_uplink_by_route_follows_the_route_and_is_kept_while_it_is_there() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("ppp0", 2)], true);
    assert_eq!(uplinks.follow(&led_out_by(network(&[("lan0", 1), ("ppp1", 3)]), &[]), now), [2]);
    assert_eq!(uplinks.view().faults.len(), 1, "nobody leads out");
    assert!(uplinks.follow(&led_out_by(network(&[("lan0", 1), ("ppp1", 3)]), &[3]), now).is_empty());
    assert_eq!(attach(&mut uplinks, now), [("ppp1".to_owned(), 3)]);
    assert!(uplinks.view().faults.is_empty());
    // A fail-over and back: both are watched.
    let both = network(&[("ppp1", 3), ("lte0", 4)]);
    assert!(uplinks.follow(&led_out_by(both.clone(), &[4]), now).is_empty());
    assert_eq!(attach(&mut uplinks, now), [("lte0".to_owned(), 4)]);
    assert!(uplinks.follow(&led_out_by(both, &[3]), now).is_empty());
    assert_eq!(uplinks.view().up, [3, 4]);
    // The one that goes is not waited for: there is another.
    assert_eq!(uplinks.follow(&led_out_by(network(&[("ppp1", 3)]), &[3]), now), [4]);
    assert!(uplinks.view().faults.is_empty() && !uplinks.has(4));
}

#[test]
fn a_failed_attempt_is_repeated_more_and_more_slowly_and_stops_no_other_uplink() {
    let start = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2), ("wan1", 3)], false);
    uplinks.follow(&network(&[]), start);
    uplinks.follow(&network(&[("wan0", 5), ("wan1", 6)]), start);
    let mut attempts = Vec::new();
    for second in 0..400 {
        uplinks.attach(start + Duration::from_secs(second), |device| {
            if device.index == 6 {
                return attached(device);
            }
            attempts.push(second);
            Err("wan0 is busy".to_owned())
        });
    }
    assert_eq!(attempts, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]);
    assert_eq!(uplinks.view().up, [6]);
    assert_eq!(uplinks.view().faults, ["wan0 is busy"]);
    assert_eq!(count(&uplinks, UplinkChange::Failed), 12);
    assert_eq!(attach(&mut uplinks, start + Duration::from_secs(423)), [("wan0".to_owned(), 5)]);
    assert!(uplinks.view().faults.is_empty());
}

#[test]
fn down_and_up_are_counted_and_nothing_is_detached() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2)], false);
    let up = network(&[("wan0", 2)]);
    let down = NetworkState { up: Vec::new(), ..up.clone() };
    assert!(uplinks.follow(&down, now).is_empty());
    assert!(uplinks.view().up.is_empty());
    assert!(uplinks.follow(&up, now).is_empty());
    assert_eq!(uplinks.view().up, [2]);
    assert!(!uplinks.is_due(now));
    assert_eq!((count(&uplinks, UplinkChange::Down), count(&uplinks, UplinkChange::Up)), (1, 1));
}
