//! Which devices to watch at the start, and watching them. What becomes of them later is [`super::follow`]'s.

use anyhow::{Context, Result, bail};
use tattler_core::home::{Device, Network};
use tracing::{info, warn};

use crate::datapath::{Attachment, Datapath, Mode};

/// The devices with the names that the user gave, else those of the IPv6 default routes.
///
/// # Errors
/// One line that names the interface, or says that there is no uplink.
pub fn choose(network: &Network, names: &[String]) -> Result<Vec<Device>> {
    if names.is_empty() {
        let uplinks = network.default_uplinks();
        if uplinks.is_empty() {
            bail!("there is no IPv6 default route to find the uplink by; name it with --interface");
        }
        return Ok(uplinks);
    }
    if let Some(twice) = names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name)) {
        bail!("--interface names {twice} twice; name each interface once");
    }
    let find = |name: &String| {
        network.device(name).cloned().with_context(|| format!("there is no interface {name}; `ip link` lists them"))
    };
    names.iter().map(find).collect()
}

/// Attaches to all of them.
///
/// # Errors
/// The first that fails ends it: a sensor that sees half of what it was told to see says so.
pub fn attach(datapath: &mut Datapath, uplinks: &[Device], asked: Option<Mode>) -> Result<Vec<Attachment>> {
    uplinks
        .iter()
        .map(|device| {
            let attachment = datapath.attach(device, asked)?;
            info!(interface = device.name, mode = attachment.mode.as_str(), "watching");
            if let Some(reason) = &attachment.not_native {
                warn!(interface = device.name, reason, "not in the driver");
            }
            Ok(attachment)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tattler_core::home::Route;

    use super::*;

    fn network() -> Network {
        let device = |name: &str, index| Device { name: name.into(), index, kind: 1 };
        let route = Route { prefix: "::/0".parse().unwrap(), device: 2, refuses: false };
        Network { devices: vec![device("lan0", 1), device("wan0", 2)], routes: vec![route], ..Network::default() }
    }

    #[test]
    fn the_default_route_tells_the_uplink() {
        assert_eq!(choose(&network(), &[]).unwrap()[0].name, "wan0");
        assert_eq!(choose(&network(), &["lan0".into()]).unwrap()[0].name, "lan0");
    }

    #[test]
    fn what_is_missing_or_named_twice_is_told_with_the_way_out() {
        let missing = choose(&network(), &["wan9".into()]).unwrap_err().to_string();
        assert_eq!(missing, "there is no interface wan9; `ip link` lists them");
        let twice = choose(&network(), &["wan0".into(), "wan0".into()]).unwrap_err().to_string();
        assert_eq!(twice, "--interface names wan0 twice; name each interface once");
        let none = choose(&Network::default(), &[]).unwrap_err().to_string();
        assert!(none.contains("--interface"), "{none}");
    }
}
