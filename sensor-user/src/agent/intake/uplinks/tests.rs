use tattler_core::home::Route;

use super::*;
use crate::datapath::Mode;

fn attached(device: &NetworkDevice) -> Result<Attachment, String> {
    Ok(Attachment { device: device.clone(), mode: Mode::Native, not_native: None, adopted: false })
}

/// A network of these devices, some of which have a default route.
fn network(devices: &[(&str, u32)], by_default: &[u32]) -> NetworkState {
    let route = |&device| Route { prefix: "::/0".parse().unwrap(), device, refuses: false };
    NetworkState {
        devices: devices.iter().map(|&(name, index)| NetworkDevice { name: name.into(), index, kind: 1 }).collect(),
        up: devices.iter().map(|&(_, index)| index).collect(),
        routes: by_default.iter().map(route).collect(),
        ..NetworkState::default()
    }
}

/// Uplinks that are watched.
fn uplinks(devices: &[(&str, u32)], by_route: bool) -> Uplinks {
    let names: Vec<String> = devices.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut uplinks = Uplinks::new(if by_route { &[] } else { &names }).unwrap();
    let indices: Vec<u32> = devices.iter().map(|device| device.1).collect();
    uplinks.follow(&network(devices, &indices), Instant::now());
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
fn a_renamed_uplink_stays_and_one_that_takes_its_name_takes_its_place() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2), ("wan1", 3)], false);
    // Two that swap their names are the same two.
    assert_eq!(uplinks.follow(&network(&[("wan1", 2), ("wan0", 3)], &[]), now), [0; 0]);
    assert_eq!(uplinks.view().attached.iter().map(|a| a.device.name.as_str()).collect::<Vec<_>>(), ["wan1", "wan0"]);
    assert_eq!((uplinks.changes.renamed, uplinks.changes.attached), (2, 0));
    assert!(!uplinks.is_due(now));
    assert_eq!(uplinks.follow(&network(&[("old0", 2), ("wan0", 4), ("wan1", 3)], &[]), now), [2]);
    assert_eq!(attach(&mut uplinks, now), [("wan0".to_owned(), 4)]);
    assert!(!uplinks.has(2));
}

#[test]
fn an_uplink_by_route_follows_the_route_and_is_kept_while_it_is_there() {
    let now = Instant::now();
    let mut uplinks = uplinks(&[("ppp0", 2)], true);
    assert_eq!(uplinks.follow(&network(&[("lan0", 1), ("ppp1", 3)], &[]), now), [2]);
    assert_eq!(uplinks.view().faults.len(), 1, "nobody leads out");
    assert!(uplinks.follow(&network(&[("lan0", 1), ("ppp1", 3)], &[3]), now).is_empty());
    assert_eq!(attach(&mut uplinks, now), [("ppp1".to_owned(), 3)]);
    assert!(uplinks.view().faults.is_empty());
    // A fail-over and back: both are watched.
    let both = [("ppp1", 3), ("lte0", 4)];
    assert!(uplinks.follow(&network(&both, &[4]), now).is_empty());
    assert_eq!(attach(&mut uplinks, now), [("lte0".to_owned(), 4)]);
    assert!(uplinks.follow(&network(&both, &[3]), now).is_empty());
    assert_eq!(uplinks.view().up, [3, 4]);
    // The one that goes is not waited for: there is another.
    assert_eq!(uplinks.follow(&network(&[("ppp1", 3)], &[3]), now), [4]);
    assert!(uplinks.view().faults.is_empty() && !uplinks.has(4));
}

#[test]
fn a_failed_attempt_is_repeated_more_and_more_slowly_and_stops_no_other_uplink() {
    let start = Instant::now();
    let mut uplinks = uplinks(&[("wan0", 2), ("wan1", 3)], false);
    uplinks.follow(&network(&[], &[]), start);
    uplinks.follow(&network(&[("wan0", 5), ("wan1", 6)], &[]), start);
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
    assert_eq!(uplinks.changes.failed, 12);
    assert_eq!(attach(&mut uplinks, start + Duration::from_secs(423)), [("wan0".to_owned(), 5)]);
    assert!(uplinks.view().faults.is_empty());
}
